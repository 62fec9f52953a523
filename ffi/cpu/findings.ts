import { availableParallelism, cpus } from "node:os";
import { check, type Finding } from "../../core/finding.ts";
import { kernelLibrary } from "./build.ts";
import { openDnnl } from "./dnnl.ts";
import { cpuFlags, usableLevels } from "./isa.ts";
import { defaultThreads, openOpenMp } from "./openmp.ts";

/** Checks the parts of the CPU backend, in the order in which they are loaded. */
export async function cpuFindings(): Promise<readonly Finding[]> {
  let openmp: string | undefined;
  return [
    await check("CPU", describeCpu),
    await check("kernels", async () => {
      const library = await kernelLibrary();
      ({ openmp } = library);
      return `${library.level}, ${library.path}`;
    }),
    await check("OpenMP", () => {
      const runtime = openOpenMp(openmp);
      return `${defaultThreads(runtime)} threads, ${runtime.path}`;
    }),
    await check("oneDNN", () => {
      openOpenMp(openmp); // which oneDNN would load itself, without its checks
      const { version, path } = openDnnl();
      return `${version}, ${path}`;
    }),
  ];
}

// --- internal ---

function describeCpu(): string {
  const flags = cpuFlags();
  const level = usableLevels(flags).at(-1) ?? "none";
  const extras = [
    flags.has("avx512_bf16") ? "bf16" : "no bf16",
    flags.has("amx_bf16") ? "AMX" : "no AMX",
  ];
  const model = cpus()[0]?.model.trim() ?? "unknown";
  return `${model}, ${availableParallelism()} cores, ${[level, ...extras].join(", ")}`;
}
