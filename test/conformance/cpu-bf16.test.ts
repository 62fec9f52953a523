import { test } from "bun:test";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { sanitizer } from "../../ffi/libc.ts";
import { available } from "../helpers/available.ts";
import { runConformance } from "./run.ts";

const { backend, reason } = await available(() => createCpuBackend({ threads: 2, dtype: "bf16" }));
if (backend) runConformance(backend, { memoryOnly: sanitizer !== undefined });
else test.skip(`the cpu backend in bf16 (${reason})`, () => {});
