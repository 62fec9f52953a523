import { describe, expect, test } from "bun:test";
import { fuzz } from "./fuzz.ts";
import { mutate } from "./mutate.ts";
import { caseSeed, randomOf } from "./random.ts";
import { targets } from "./targets.ts";

/** Of one reader: enough for its child to start and to read some inputs. */
const MILLISECONDS = 100;
/** The whole suite fuzzes every reader for far longer beside its tests: see scripts/fuzz-beside.ts. */
const isFuzzedBeside = process.env["ADALORA_FUZZED_BESIDE"] !== undefined;

describe.skipIf(isFuzzedBeside)(
  "damaged inputs are read, or refused, within time and memory",
  () => {
    for (const { name } of targets) {
      test(
        name,
        async () => {
          const effort = { seed: 2, from: 0, cases: 100, milliseconds: MILLISECONDS };
          const { cases, read, refused, findings } = await fuzz(name, effort);
          expect(findings).toEqual([]);
          expect(read + refused).toBe(cases);
        },
        120_000,
      );
    }
  },
);

test("a case is the same whenever its seed and number are", () => {
  const bytes = Buffer.from('{"a":[1,2,{"b":"text"}],"c":0.5}');
  for (const kind of ["binary", "text", "json"] as const) {
    const changed = Array.from({ length: 200 }, (_, i) => {
      const once = () =>
        Buffer.from(mutate(bytes, kind, randomOf(caseSeed(7, "x", i)))).toString("hex");
      expect(once()).toBe(once());
      return once();
    });
    expect(new Set(changed).size).toBeGreaterThan(100);
  }
});

test("the readers' names are distinct, as --reader tells them apart", () => {
  expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length);
});
