import { expect, test } from "bun:test";
import { join } from "node:path";
import { commandTest } from "./command.ts";

const { runProcess, training, path, task } = commandTest();

/** The tokenizer library's own loader takes this file instead. */
const without = { NAPI_RS_NATIVE_LIBRARY_PATH: "/nowhere.node" };
const planning = (flags: Parameters<typeof training>[0] = {}) => [
  "plan",
  ...training({ "max-length": 40, ...flags }).slice(1),
];

async function planned(env: Record<string, string>) {
  const { code, stdout, stderr } = await runProcess([...planning(), "--json"], env);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

test("a plan without native files says what it doesn't know, and is right in the rest", async () => {
  const cache = { XDG_CACHE_HOME: path("empty-cache") };
  const unknown = await planned({ ...without, ...cache });
  expect(unknown.warnings).toEqual([
    expect.stringMatching(
      /^token lengths are unknown, and needs are those of texts of the maximum length: cannot load the tokenizer library/,
    ),
  ]);
  const known = await planned(cache); // which has cached no made-up tokens
  expect(known.warnings).toEqual([]);
  expect(known.data.samples).toHaveLength(2);
  const { data, needs } = unknown;
  expect(data.samples).toEqual([]);
  expect({ ...unknown, data: known.data, needs: known.needs, warnings: [] }).toEqual(known);
  for (const [i, split] of data.splits.entries())
    expect(split).toEqual({ ...known.data.splits[i], lengths: [] });
  expect(needs.training).toBeGreaterThan(known.needs.training);

  const cached = await planned({ ...without, ...cache });
  expect(cached.warnings).toEqual([
    expect.stringMatching(/^examples are not shown: cannot load the tokenizer library/),
  ]);
  expect(cached).toEqual({
    ...known,
    data: { ...known.data, samples: [] },
    warnings: cached.warnings,
  });
});

test("a run, and a plan's times, need the library", async () => {
  const env = { ...without, XDG_CACHE_HOME: path("no-cache") };
  for (const command of [training({ out: path("out") }), [...planning(), "--time"]]) {
    const { code, stderr } = await runProcess(command, env);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^error {2}cannot load the tokenizer library$/m),
    ]);
  }
});

test("a plan of questions, whose windows are unknown, is refused with one error", async () => {
  const data = join(import.meta.dir, "../fixtures/data/squad-16.json");
  const words = `plan squad_v2 --model ${task.model} --data ${data} --max-length 32 --doc-stride 8`;
  const env = { ...without, XDG_CACHE_HOME: path("no-cache") };
  const { code, stdout } = await runProcess([...words.split(" "), "--json"], env);
  expect(code).toBe(1);
  expect(JSON.parse(stdout).errors).toEqual([
    expect.objectContaining({
      code: "E_LIBRARY",
      message: expect.stringMatching(/^cannot load the tokenizer library/),
    }),
  ]);
});
