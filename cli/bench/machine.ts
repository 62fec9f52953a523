import { cpus, release, totalmem } from "node:os";
import packageJson from "../../package.json" with { type: "json" };

/** The machine, versions and threads that a figure was measured with. */
export async function machineFacts(threads: number): Promise<object> {
  const model = cpus()[0]?.model ?? "unknown";
  return {
    date: new Date().toISOString().slice(0, 10),
    adalora: packageJson.version,
    bun: Bun.version,
    cpu: model,
    flags: await cpuFlags(),
    kernel: release(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    threads,
  };
}

async function cpuFlags(): Promise<readonly string[]> {
  const info = await Bun.file("/proc/cpuinfo").text();
  return ["avx2", "avx512f", "avx512_bf16", "amx_bf16"].filter((flag) => info.includes(` ${flag}`));
}
