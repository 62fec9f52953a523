/**
 * bun test/oracle/fused-adapter.ts adalora|lora OUT
 * Writes the adapter of test/helpers/fused-adapter.ts to a folder, for modernbert_in_peft.py.
 */
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { writePeftAdapter } from "../../core/io/peft.ts";
import { fusedAdapter } from "../helpers/fused-adapter.ts";

const [method, out] = process.argv.slice(2);
if (out === undefined || (method !== "adalora" && method !== "lora")) {
  throw new Error("usage: fused-adapter.ts adalora|lora OUT");
}
writePeftAdapter(out, fusedAdapter(createReferenceBackend(), method).adapter);
