import type { Device, RunDType } from "../../core/device.ts";
import { hostMemory } from "../../core/host-memory.ts";
import { bf16Refusal } from "./isa.ts";

/** Heaps of Bun and this program, and the code that oneDNN generates; no pages of code files. */
const PROGRAM = 84 * 2 ** 20;

const types = (dtype: RunDType) => ({ activation: dtype, master: "f32" }) as const;

/** The CPU: matrix products by oneDNN, everything else by the C kernels of this folder. */
export const cpuDevice: Device = {
  name: "cpu",
  about: "oneDNN and C kernels",
  automatic: true,
  dtypes: ["bf16", "f32"],
  selfTestHint:
    "another oneDNN may be at fault (ADALORA_DNNL names one), or a higher instruction set: try ADALORA_ISA=avx2",
  types,
  refusal: (dtype) => (dtype === "bf16" ? bf16Refusal() : undefined),

  async open({ dtype, threads }) {
    const { createCpuBackend } = await import("./backend.ts");
    return createCpuBackend({ dtype, ...(threads === null ? {} : { threads }) });
  },

  async memoryModel(dtype) {
    const { createResidentBackend } = await import("./resident.ts");
    const backend = createResidentBackend(types(dtype));
    return {
      ...backend,
      peakBytes(hostData) {
        const { file, pool } = backend.resident();
        return PROGRAM + file + pool + hostData;
      },
    };
  },

  memory: () => hostMemory("mapped"),

  async doctor() {
    const { cpuFindings } = await import("./findings.ts");
    return cpuFindings();
  },

  async embeddedFiles(scratch) {
    const { cpuEmbeddedFiles } = await import("./embedded-files.ts");
    return cpuEmbeddedFiles(scratch);
  },
};
