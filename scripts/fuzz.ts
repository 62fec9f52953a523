/**
 * bun run fuzz [--seconds N] [--seed S] [--reader NAME] [--case I] [--parallel N]
 * Gives damaged and hostile inputs to every reader of files from elsewhere, and prints a table. Ends with 1 when one
 * crashes, hangs, takes too much memory or gives no clear error. `--case` repeats a single case of a reader. The seconds
 * are divided among the readers, of which N are fuzzed at once.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { fuzz } from "../test/fuzz/fuzz.ts";
import type { Finding, Outcome } from "../test/fuzz/outcome.ts";
import { targets } from "../test/fuzz/targets.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    reader: { type: "string", multiple: true },
    case: { type: "string" },
    parallel: { type: "string", default: "1" },
  },
});
const [seconds, seed] = [numberOf("seconds", values.seconds), numberOf("seed", values.seed)];
const from = values.case === undefined ? 0 : numberOf("case", values.case);
const names = values.reader ?? targets.map(({ name }) => name);
const unknown = names.find((name) => targets.every((target) => target.name !== name));
if (unknown !== undefined) {
  console.error(`no reader "${unknown}"; known: ${targets.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}

const findings: Finding[] = [];
const effort = {
  seed,
  from,
  cases: values.case === undefined ? 1e9 : 1,
  milliseconds: (1000 * seconds) / names.length,
};
const waiting = [...names];
console.log(
  row(["reader", "cases", "read", "refused", "crashes", "hangs", "memory", "messages", "MB", "ms"]),
);
await Promise.all(Array.from({ length: numberOf("parallel", values.parallel) }, fuzzWaiting));
for (const { target, index, what, detail } of findings.slice(0, 20)) {
  console.log(`\n${what}: ${detail}`);
  console.log(`  bun run fuzz --reader "${target}" --seed ${seed} --case ${index}`);
}
console.log(`\n${findings.length} findings (seed ${seed})`);
process.exitCode = findings.length === 0 ? 0 : 1;

/** Fuzzes one reader after the other until none is left. */
async function fuzzWaiting(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const outcome = await fuzz(name, effort);
    findings.push(...outcome.findings);
    console.log(row([name, ...figures(outcome)]));
  }
}

function numberOf(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${flag} must be a whole number, got ${text}`);
  return process.exit(1);
}

function figures({
  cases,
  read,
  refused,
  memory,
  milliseconds,
  findings: found,
}: Outcome): string[] {
  const count = (what: Finding["what"]) => found.filter((finding) => finding.what === what).length;
  const counts = [count("crash"), count("hang"), count("memory"), count("message")];
  const most = [Math.round(memory / 1e6), Math.round(milliseconds)];
  return [cases, read, refused, ...counts, ...most].map(String);
}

function row([name = "", ...cells]: readonly string[]): string {
  return name.padEnd(16) + cells.map((cell) => cell.padStart(9)).join("");
}
