import { existsSync } from "node:fs";

/** Files of several seconds, the longest first: each runs in a process of its own. */
const SLOW = [
  "scripts/executable",
  "ffi/cpu/sanitized",
  "train-run/squad",
  "train-run/demo",
  "cli/bench",
  "train-run/plan-memory",
  "train-run/summaries",
  "train-run/resume",
  "train-run/summaries-overfit",
  "ffi/build",
  "train-run/predict",
  "conformance/reference",
  "conformance/cpu-bf16",
  "conformance/cpu",
  "train-run/methods",
  "golden/golden",
  "golden/check-bad",
  "core/checkpointing",
].map((name) => `test/${name}.test.ts`);

/** Quick files share a process, so many of them: starting one takes longer than most files. */
const GROUP = 16;

/** Test files whose path contains one of the filters, in order; all of them without filters. */
export function testFiles(filters: readonly string[]): string[] {
  const under = existsSync("test") ? "test/" : "";
  const all = [...new Bun.Glob(`${under}**/*.test.ts`).scanSync(".")].toSorted();
  const wanted = filters.map((filter) => filter.replace(/^\.\//, ""));
  return wanted.length === 0 ? all : all.filter((file) => wanted.some((one) => file.includes(one)));
}

/** Splits test files into lists, each for one process, in the order in which to start these. */
export function testUnits(files: readonly string[]): string[][] {
  const slow = SLOW.filter((file) => files.includes(file));
  const quick = files.filter((file) => !slow.includes(file));
  const groups = Math.ceil(quick.length / GROUP);
  // Neighbours are of a kind and take as long as each other: they are dealt to different groups.
  const dealt = Array.from({ length: groups }, (_, i) => quick.filter((__, j) => j % groups === i));
  return [...slow.map((file) => [file]), ...dealt];
}
