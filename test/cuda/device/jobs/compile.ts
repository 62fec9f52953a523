/** How long a first start compiles, and how long a later one loads what was compiled. */
import { EMULATED, openTarget } from "../target.ts";
import { emit, runAsJob, Skip } from "./job.ts";

await runAsJob(async (flags) => {
  if (flags.device === EMULATED) throw new Skip("g++ compiles for the emulated device");
  const seconds: number[] = [];
  for (let start = 0; start < 2; start++) {
    const started = performance.now();
    const backend = await openTarget({ ...flags, dtype: "f32" });
    seconds.push((performance.now() - started) / 1000);
    if ("close" in backend && typeof backend.close === "function") backend.close();
  }
  const [firstStart, laterStart] = seconds;
  emit({ firstStart, laterStart });
  return true;
});
