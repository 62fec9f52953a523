/**
 * Compiles all kernels with the real NVRTC, without a device, and prints what each uses, as JSON.
 * bun test/cuda/registers.ts [CAPABILITY...] > test/cuda/registers.json
 */
import { cudaLibraries, MAJORS } from "../../ffi/cuda/libraries.ts";
import { openNvrtc } from "../../ffi/cuda/nvrtc.ts";
import { kernelSources } from "../../ffi/cuda/sources.ts";

/** What a kernel uses: registers a thread, bytes spilled a thread, bytes of static shared memory. */
export interface KernelUse {
  readonly registers: number;
  readonly spilled: number;
  readonly shared: number;
}

/** Paths of NVRTC on this machine, of any supported version. */
export const nvrtcCandidates = () => MAJORS.flatMap((major) => cudaLibraries(major).nvrtc);

/** Reads the assembler's report: --ptxas-options=-v. A kernel's functions follow it. */
export function readUses(log: string): Record<string, KernelUse> {
  const uses: Record<string, KernelUse> = {};
  for (const part of log.split("Compiling entry function").slice(1)) {
    const [, name = ""] = /'(\w+)'/.exec(part) ?? [];
    const [, registers, rest = ""] = /Used (\d+) registers([^\n]*)/.exec(part) ?? [];
    const spills = [...part.matchAll(/(\d+) bytes spill (?:stores|loads)/g)];
    uses[name] = {
      registers: Number(registers),
      spilled: spills.reduce((sum, [, bytes]) => sum + Number(bytes), 0),
      shared: Number(/(\d+) bytes smem/.exec(rest)?.[1] ?? 0),
    };
  }
  return uses;
}

function main(capabilities: readonly number[]) {
  const nvrtc = openNvrtc(nvrtcCandidates());
  const table: Record<string, Record<string, KernelUse>> = {};
  for (const capability of capabilities) {
    const target = { capability, kind: "cubin" } as const;
    const logs = kernelSources().map(
      (source) => nvrtc.compile(source, target, ["--ptxas-options=-v"]).log,
    );
    table[`sm_${capability}`] = readUses(logs.join("\n"));
  }
  console.log(JSON.stringify(table, null, 1));
}

if (import.meta.main) main(process.argv.slice(2).map(Number));
