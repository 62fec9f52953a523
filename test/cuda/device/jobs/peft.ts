/** Writes the batches and configurations for run_peft.py, and runs it where Python is installed. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { workNames, workOf } from "../work.ts";
import { runAsJob, Skip } from "./job.ts";

/** Timed steps and those before them: whole ones, and for a trial on a CPU. */
const COUNTS = { whole: { warmup: 4, steps: 16 }, small: { warmup: 1, steps: 1 } };

await runAsJob(async ({ device, small, scratch = "." }) => {
  const names = small ? ["rte-b32", "xsum-b8"] : workNames;
  const works = names.map((name) => {
    const { workload, model, batches } = workOf(name, small);
    const counts = small ? COUNTS.small : COUNTS.whole;
    return { name, kind: workload.kind, config: model.config, batches, ...counts };
  });
  const file = join(scratch, "works.json");
  writeFileSync(file, JSON.stringify(works));
  const command = [python(), join(import.meta.dir, "run_peft.py"), file, torchDevice(device)];
  const env = { ...process.env, HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" };
  const child = Bun.spawn(command, { env, stdio: ["ignore", "inherit", "inherit"] });
  process.exit(await child.exited);
});

function python(): string {
  const own = join(process.env["VIRTUAL_ENV"] ?? "/nowhere", "bin/python3");
  const found = existsSync(own) ? own : Bun.which("python3");
  if (found === null) throw new Skip("python3 is not installed");
  return found;
}

/** PEFT has no emulated device: it runs on the CPU then, to try the script. */
function torchDevice(device: string): string {
  return device.startsWith("cuda-") ? "cpu" : device;
}
