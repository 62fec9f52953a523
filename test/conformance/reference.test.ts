import { createReferenceBackend } from "../../core/backend/reference.ts";
import { guarded } from "../helpers/guarded-backend.ts";
import { runConformance } from "./run.ts";

// Others are compared with the reference; of itself only writes out of place are tested, and of the
// cases that they don't look into a buffer.
runConformance(guarded(createReferenceBackend()).backend, { memoryOnly: true });
