import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allocators } from "../../../core/adalora/allocators/index.ts";
import { loraValues } from "../../../core/adalora/starts/lora.ts";
import { paperValues } from "../../../core/adalora/starts/paper.ts";
import { tinyAllocator } from "../../helpers/tiny-model.ts";
import { resultOf, stateOf, tinySetup, train } from "../../helpers/tiny-run.ts";

const folder = mkdtempSync(join(tmpdir(), "resume-masks-"));
afterAll(() => rmSync(folder, { recursive: true }));

// Masks follow steps 4, 6 and 8 to 11. A kill after 7 steps resumes between two prunings, one after
// 11 steps in the final phase, where PEFT's rules keep the mask that was made before the
// checkpoint.
const kills = [
  { start: "paper", values: paperValues, semantics: "reference", killAfter: 7, from: 6 },
  { start: "lora", values: loraValues, semantics: "peft", killAfter: 11, from: 9 },
] as const;

describe("a killed run ends in the bits of one that was not", () => {
  for (const [name, rule] of Object.entries(allocators))
    for (const { start, values, semantics, killAfter, from } of kills) {
      const what = `${name}, start ${start}, semantics ${semantics}`;
      test(`${what}, killed after ${killAfter} steps`, async () => {
        const create = (dir: string) =>
          tinySetup({
            checkpointDir: join(folder, `${what} ${dir}`),
            model: { start: values },
            trainer: { allocator: { ...tinyAllocator, rule, semantics } },
            options: { saveSteps: 3 },
          });
        const whole = create("whole");
        const expected = await train(whole);
        await expect(train(create("killed"), { killAfter })).rejects.toThrow("killed");
        const second = create("killed");
        const rest = await train(second, { resume: true });
        expect(rest.resumed.map(({ progress }) => progress?.step)).toEqual([from]);
        expect(rest.reports).toEqual(expected.reports.slice(from));
        expect(resultOf(rest.outcome)).toEqual(resultOf(expected.outcome));
        expect(stateOf(second.backend, second)).toEqual(stateOf(whole.backend, whole));
        expect(second.trainer.kept()).toEqual(whole.trainer.kept());
      });
    }
});
