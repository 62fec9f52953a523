import { test } from "bun:test";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { sanitizer } from "../../ffi/libc.ts";
import { available } from "../helpers/available.ts";
import { runConformance } from "./run.ts";

const cpu = await available(() => createCpuBackend({ threads: 2 }));
if (cpu.backend) runConformance(cpu.backend, { memoryOnly: sanitizer !== undefined });
else test.skip(`cpu agrees with the reference (${cpu.reason})`, () => {});
