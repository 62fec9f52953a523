import { createReferenceBackend } from "../../core/backend/reference.ts";
import { guarded } from "../helpers/guarded-backend.ts";
import { runConformance } from "./run.ts";

// The reference is compared with itself: this can only find writes out of place and cases that look
// into a buffer. Its loops over typed arrays are the same at every alignment.
runConformance(guarded(createReferenceBackend()).backend, { alignments: ["odd"] });
