import { createReferenceBackend } from "../../core/backend/reference.ts";
import { guarded } from "../helpers/guarded-backend.ts";
import { runConformance } from "./run.ts";

// The numbers are its own; what this can find is a write where none belongs, and a look into a
// buffer.
runConformance(guarded(createReferenceBackend()).backend);
