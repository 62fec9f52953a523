import { expect, test } from "bun:test";
import { join } from "node:path";
import { peakMemoryWithoutCode, peakResidentMemory } from "../../core/process-memory.ts";

const MIB = 2 ** 20;
const module = join(import.meta.dir, "../../core/process-memory.ts");

/** A process of its own: this one's peak may be another file's. */
const script = `
  import { peakMemoryWithoutCode, peakResidentMemory } from ${JSON.stringify(module)};
  const peaks = () => [peakResidentMemory(), peakMemoryWithoutCode()];
  const before = peaks();
  globalThis.kept = new Uint8Array(${64 * MIB}).fill(1);
  console.log(JSON.stringify([before, peaks()]));`;

test("the peak without code counts a process's own memory, not pages of its program", () => {
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script], { stdin: "ignore" });
  const [before, after] = JSON.parse(stdout.toString());
  for (const [resident, own] of [before, after]) {
    expect(resident - own).toBeGreaterThan(16 * MIB); // of Bun's 107 MB
    expect(own).toBeGreaterThan(MIB);
  }
  expect(after[1] - before[1]).toBeWithin(60 * MIB, 80 * MIB);
});

test("of a process that has ended there is none", () => {
  const { pid } = Bun.spawnSync(["true"]);
  expect([peakResidentMemory(pid), peakMemoryWithoutCode(pid)]).toEqual([undefined, undefined]);
});
