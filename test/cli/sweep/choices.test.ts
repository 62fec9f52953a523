import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { splitAxes, sweptSetting } from "../../../cli/sweep/axes.ts";
import { bestCommand } from "../../../cli/sweep/best-command.ts";
import { choicesOf } from "../../../cli/sweep/choices.ts";
import { requestedChoices } from "../../../cli/sweep/requested-choices.ts";
import type { SettingName } from "../../../core/config/run-config.ts";
import { localSources } from "../../helpers/local-run.ts";

/** Flags as `sweep` reads them. */
const given = (flags: Partial<Record<SettingName, string>>) =>
  new Map(
    Object.entries(flags).map(([name, raw]) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys' own type
      const value = sweptSetting(name as SettingName).read(raw);
      return [name, { value, flag: `--${name}` }] as const;
    }),
  );

const namesOf = (
  flags: Partial<Record<SettingName, string>>,
  random: number | null = null,
  seed = 42,
) => choicesOf(splitAxes(given(flags)).axes, { random, seed }).map(({ name }) => name);

describe("a grid", () => {
  test("is every combination, the last flag first to change; equal values count once", () => {
    expect(namesOf({ lr: "1e-3,5e-4,0.001", targetRank: "1,2", seed: "3" })).toEqual([
      "lr=1e-3 target-rank=1",
      "lr=1e-3 target-rank=2",
      "lr=5e-4 target-rank=1",
      "lr=5e-4 target-rank=2",
    ]);
  });

  test("has no ranges, and at most 1000 configurations", () => {
    expect(() => namesOf({ lr: "1e-4..1e-2" })).toThrow("--lr a range needs --random N");
    const ten = Array.from({ length: 11 }, (_, i) => String(i + 1)).join(",");
    expect(() => namesOf({ batchSize: ten, epochs: ten, initRank: ten })).toThrow("1,331");
  });

  test("leaves flags alone whose value is one text or one list", () => {
    const { fixed, axes } = splitAxes(
      given({ sourcePrefix: "a, b", modules: "query,key", lr: "1e-3", budget: "0.1M,0.2M" }),
    );
    expect(axes.map(({ setting }) => setting)).toEqual(["budget"]);
    expect(Object.fromEntries([...fixed].map(([name, { value }]) => [name, value]))).toEqual({
      sourcePrefix: "a, b",
      modules: ["query", "key"],
      lr: 0.001,
    });
  });

  test.each(["1e-3,x", "0,1", "1e-3,", "2..1"])("refuses --lr %s", (raw) => {
    expect(sweptSetting("lr").read(raw)).toBeUndefined();
  });
});

describe("--random", () => {
  test("draws distinct configurations, the same ones for the same seed", () => {
    const flags = { lr: "1e-4,2e-4,3e-4,4e-4", initRank: "1,2,3,4" } as const;
    const drawn = namesOf(flags, 6);
    expect(new Set(drawn).size).toBe(6);
    expect(namesOf(flags, 6)).toEqual(drawn);
    expect(namesOf(flags, 6, 43)).not.toEqual(drawn);
    expect(namesOf(flags, 16)).toEqual(namesOf(flags));
  });

  test("draws from a range by its logarithm, with three digits; whole numbers where it must", () => {
    const axes = splitAxes(given({ lr: "1e-4..1e-2", batchSize: "8..64" })).axes;
    const all = choicesOf(axes, { random: 400, seed: 1 });
    const rates = all.map(({ values }) => Number(values.get("lr")?.value));
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-4);
    expect(Math.max(...rates)).toBeLessThanOrEqual(1e-2);
    const below = rates.filter((rate) => rate < 1e-3).length; // the middle of the logarithm
    expect(below).toBeGreaterThan(160);
    expect(below).toBeLessThan(240);
    for (const { values } of all) {
      const { text = "", value } = values.get("batchSize") ?? {};
      expect([Number.isInteger(value), text]).toEqual([true, String(value)]);
      expect(values.get("lr")?.text.replace(/^0\.0*|e.*$|\./g, "").length).toBeLessThanOrEqual(3);
    }
  });
});

test.each([
  ["0.0012341..0.0012349", 0.0012341, 0.0012349], // rounds to 0.00123
  ["0.0012351..0.0012359", 0.0012351, 0.0012359], // rounds to 0.00124
])("three digits of --lr %s stay in the range", (lr, low, high) => {
  const all = choicesOf(splitAxes(given({ lr })).axes, { random: 3, seed: 1 });
  for (const { values } of all) {
    expect(Number(values.get("lr")?.value)).toBeGreaterThanOrEqual(low);
    expect(Number(values.get("lr")?.value)).toBeLessThanOrEqual(high);
  }
});

describe("the configurations of a command line", () => {
  const folder = mkdtempSync(join(tmpdir(), "adalora-choices-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const name = join(folder, "my.toml");
  writeFileSync(name, 'task = "rte"\nmodel = "m"\ndevice = "reference"\nseed = 7\n');

  const requested = (flags: Partial<Record<SettingName, string>>, random: number) => {
    const options = { random, resume: false, overwrite: false };
    return requestedChoices({ name, ...splitAxes(given(flags)), options, sources: localSources });
  };

  test("are drawn by the seed of a file, and a flag overrides it", async () => {
    const flags = { lr: "1e-4..1e-2" };
    const { choices, warnings } = await requested(flags, 3);
    expect(choices.map(({ choice }) => choice.name)).toEqual(namesOf(flags, 3, 7));
    expect(choices.map(({ config }) => config.seed)).toEqual([7, 7, 7]);
    expect(warnings).toEqual([]);
    const other = await requested({ ...flags, seed: "8" }, 3);
    expect(other.choices.map(({ choice }) => choice.name)).toEqual(namesOf(flags, 3, 8));
  });

  test("are fewer than requested where a range is narrow, with a warning", async () => {
    const { choices, warnings } = await requested({ batchSize: "8..9" }, 5);
    expect(choices).toHaveLength(2);
    expect(warnings).toEqual(["--random 5 found only 2 different configurations"]);
  });
});

test("the command of a choice has the recipe, the shared flags and the chosen values", () => {
  const { fixed, axes } = splitAxes(
    given({ modules: "query,key", out: "runs/x", lr: "1e-3,5e-4", sourcePrefix: "-a" }),
  );
  const [, choice] = choicesOf(axes, { random: null, seed: 1 });
  const own = new Map([...fixed, ["halving", { value: true, flag: "--halving" }]] as const);
  expect(bestCommand("rte", own, choice!)).toEqual([
    "run",
    "rte",
    "--modules",
    "query,key",
    "--source-prefix=-a",
    "--lr",
    "5e-4",
  ]);
});
