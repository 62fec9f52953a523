import { createReferenceBackend } from "../../core/backend/reference.ts";
import { guarded } from "../helpers/guarded-backend.ts";
import { runConformance } from "./run.ts";

// The reference is compared with itself: this can only find writes out of place and cases that look
// into a buffer.
runConformance(guarded(createReferenceBackend()).backend);
