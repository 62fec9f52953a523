import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readExamples } from "../../../core/data/examples.ts";
import { glueTasks } from "../../../core/data/glue-tasks.ts";
import { sequenceTask } from "../../../core/tasks/sequence-task.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { optionsOf, tokenizeOptions } from "./span-fixtures.ts";

ownCache();

describe("words of a command line", () => {
  const rowsOf = async (name: string, words: readonly string[], columns = {}) => {
    const split = sequenceTask(name, optionsOf(columns)).fromWords(words, undefined);
    const glue = Object.values(glueTasks).find((task) => task.name === name);
    const kind = glue?.kind ?? (name === "regression" ? name : "classification");
    const labelNames = ["no", "yes"]; // as the model has them
    const spec = { task: glue, kind, labels: "ignored", labelNames, ...columns } as const;
    const { examples } = await readExamples(split, spec);
    return examples.map(({ text, pair }) => (pair === undefined ? [text] : [text, pair]));
  };

  test.each(Object.values(glueTasks).map((task) => [task.name, task] as const))(
    "are one row of %s",
    async (name, { columns }) => {
      const words = columns.pair === undefined ? ["a\tb"] : ["a\tb", 'c "d"\n'];
      expect(await rowsOf(name, words)).toEqual([words]);
    },
  );

  test("are a text or a pair of the user's own data", async () => {
    expect(await rowsOf("classification", ["a"])).toEqual([["a"]]);
    expect(await rowsOf("regression", ["a", "b"])).toEqual([["a", "b"]]);
    expect(await rowsOf("classification", ["a"], { textColumn: "review" })).toEqual([["a"]]);
    const both = { textColumn: "premise", pairColumn: "claim" };
    expect(await rowsOf("classification", ["a", "b"], both)).toEqual([["a", "b"]]);
    expect(await rowsOf("rte", ["a", "b"], both)).toEqual([["a", "b"]]);
  });

  test.each([
    ["rte", ["a"], {}, "no second text given"],
    ["rte", ["a", "b", "c"], {}, 'unexpected argument "c"'],
    ["sst2", ["a", "b"], {}, 'unexpected argument "b"'],
    ["classification", ["a", "b", "c"], {}, 'unexpected argument "c"'],
    ["classification", ["a", "b"], { textColumn: "review" }, 'unexpected argument "b"'],
    ["classification", ["a"], { pairColumn: "claim" }, "no second text given"],
  ])("refused by %s: %j", (name, words, columns, message) => {
    expect(() => sequenceTask(name, optionsOf(columns)).fromWords(words, undefined)).toThrow(
      message,
    );
  });
});

test("an overview counts classes and what --max-length cuts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "adalora-overview-"));
  const file = join(folder, "rows.csv");
  const rows = ["the cat,x", "the cat looked at the moon,y", "a,x"];
  writeFileSync(file, ["text,label", ...rows, ""].join("\n"));
  const task = sequenceTask("classification", optionsOf());
  const text = await task.read({ name: "train", role: "train", files: [file] }, "required");
  const overview = async (maxLength: number) =>
    (await text.forTraining(tokenizeOptions(maxLength))).overview(2);
  const whole = await overview(64);
  const full = Array.from(whole.lengths[0]?.tokens ?? []);
  expect(whole.classes).toEqual([
    { name: "x", rows: 2 },
    { name: "y", rows: 1 },
  ]);
  expect(whole.lengths).toMatchObject([{ of: "text", limit: 64, tooLong: 0 }]);
  expect(whole.samples.map(({ ids, label }) => [ids.length, label])).toEqual([
    [full[0]!, "x"],
    [full[1]!, "y"],
  ]);
  // an example of exactly the limit is not cut; twice, as tokens are cached
  for (const limit of [full[0]!, full[0]!, full[1]! - 1]) {
    const [cut] = (await overview(limit)).lengths;
    expect([cut?.tooLong, Array.from(cut?.tokens ?? [])]).toEqual([1, full]);
  }
  expect((await overview(full[1]!)).lengths[0]?.tooLong).toBe(0);
  expect((await overview(full[2]!)).lengths[0]?.tooLong).toBe(2);
  rmSync(folder, { recursive: true });
});

test("--limit reads the first rows of a split, --eval-limit those of the others", async () => {
  const folder = mkdtempSync(join(tmpdir(), "adalora-rows-"));
  const file = join(folder, "rows.csv");
  writeFileSync(file, `text,label\n${"a,x\nb,y\n".repeat(5)}`);
  const rowsOf = async (role: "train" | "validation", options: object) => {
    const task = sequenceTask("classification", optionsOf(options));
    return (await task.read({ name: role, role, files: [file] }, "required")).featureCount;
  };
  expect([
    await rowsOf("train", {}),
    await rowsOf("train", { limit: 4, evalLimit: 3 }),
    await rowsOf("validation", { limit: 4, evalLimit: 3 }),
    await rowsOf("validation", { limit: 4, evalLimit: 6 }),
    await rowsOf("validation", { evalLimit: 6 }),
    await rowsOf("train", { trainLimit: 3, limit: 4 }),
    await rowsOf("validation", { trainLimit: 3 }),
    // what is held out is not training data: the limit comes after that
    await rowsOf("train", { trainLimit: 3, evalFraction: 0.2 }),
  ]).toEqual([10, 4, 3, 4, 6, 3, 10, 10]);
  rmSync(folder, { recursive: true });
});
