import { test } from "bun:test";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { available } from "../helpers/available.ts";
import { runConformance } from "./run.ts";

const { backend, reason } = await available(() => createCpuBackend({ threads: 2, dtype: "bf16" }));
if (backend) runConformance(backend);
else test.skip(`the cpu backend in bf16 (${reason})`, () => {});
