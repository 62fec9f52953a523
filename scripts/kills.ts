/**
 * bun run kills [--count N] [--seed S] [--of run|compare|sweep]
 * Kills a tiny training N times, half of them at its writes, syncs, renames and removals (or lets
 * such a call fail), resumes it each time, and compares the results with those of an undisturbed
 * run. Ends with 1 when they differ. With --of compare or sweep it kills such a command instead, at
 * random moments, and compares the bytes of its result.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { killedCommands, surviveKills } from "../test/faults/comparison-kills.ts";
import { faultsIn, survive } from "../test/faults/kills.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string" },
    seed: { type: "string", default: "1" },
    of: { type: "string", default: "run" },
  },
});
const [count, seed] = [
  Number(values.count ?? (values.of === "run" ? 200 : 10)),
  Number(values.seed),
];
if (!Number.isSafeInteger(count) || !Number.isSafeInteger(seed)) {
  console.error("--count and --seed must be whole numbers");
  process.exit(1);
}
if (values.of === "compare" || values.of === "sweep") {
  const { kills, late, findings } = await surviveKills(killedCommands[values.of], { count, seed });
  for (const finding of findings) console.log(finding);
  console.log(
    `${kills} kills of ${values.of}, ${late} came too late, ${findings.length} findings (seed ${seed})`,
  );
  process.exit(findings.length === 0 ? 0 : 1);
}
if (values.of !== "run") {
  console.error("--of must be run, compare or sweep");
  process.exit(1);
}
const isLive = process.stderr.isTTY;
const figures = await survive({
  count,
  seed,
  onAttempt(sofar) {
    if (isLive) process.stderr.write(`\r${faultsIn(sofar)} of ${count} faults`);
  },
});
if (isLive) process.stderr.write("\r\u001b[K");

const { timed, injected, runs, findings, notInjected } = figures;
console.log(`at random moments     ${timed}`);
for (const [what, times] of Object.entries(injected).toSorted(byName)) {
  console.log(`at ${what.padEnd(18)} ${times}`);
}
if (notInjected !== undefined) console.log(`none injected: ${notInjected}`);
for (const finding of findings) console.log(`\n${finding}`);
console.log(
  `\n${faultsIn(figures)} faults, ${runs} runs ended like an undisturbed one, ` +
    `${findings.length} findings (seed ${seed})`,
);
process.exitCode = findings.length === 0 ? 0 : 1;

function byName([a]: readonly [string, number], [b]: readonly [string, number]): number {
  return a < b ? -1 : 1;
}
