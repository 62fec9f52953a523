import { expect, test } from "bun:test";
import { createEmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { available } from "../helpers/available.ts";
import { countStep, COUNTED, type StepCounts } from "./step-counts.ts";
import table from "./step-counts.json" with { type: "json" };

const { reason } = await available(async () => {
  const { backend } = await createEmulatedBackend();
  backend.close();
  return backend;
});

/** Layers of the models that the table has, and of BART's encoder and decoder. */
const LAYERS = { "rte-b32": 12, "squad-b16": 12, "xsum-b8": 6 } as const;

/** Most launches of a training step, and of a layer in it. */
const [MOST_LAUNCHES, MOST_OF_A_LAYER] = [700, 55];

type Counts = Readonly<Record<string, number>>;

const flat = ({ kernels, ...totals }: StepCounts): Counts => ({ ...totals, ...kernels });

/**
 * Counts of a model of `layers` layers, from those of models of two and of three. The last layer
 * differs from the others.
 */
function extrapolated(two: Counts, three: Counts, layers: number): Counts {
  const names = Object.keys({ ...two, ...three });
  const count = (name: string) => {
    const [a, b] = [two[name] ?? 0, three[name] ?? 0];
    return a + (layers - 2) * (b - a);
  };
  return Object.fromEntries(names.map((name) => [name, count(name)]));
}

/** What is counted anew: all in bf16, and in f32 the one that is nearest to the limit. */
const CHECKED = [...COUNTED.map((name) => [name, "bf16"] as const), ["xsum-b8", "f32"] as const];

test.skipIf(reason !== undefined).each(CHECKED)(
  "a training step of %s in %s queues as much as the table says, and waits once",
  async (name, dtype) => {
    const two = flat(await countStep(name, { dtype, layers: 2 }));
    const three = flat(await countStep(name, { dtype, layers: 3 }));
    const ofLayer = three["launches"]! - two["launches"]!;
    if (name !== "xsum-b8") expect(ofLayer).toBeLessThanOrEqual(MOST_OF_A_LAYER);
    expect(extrapolated(two, three, LAYERS[name])).toEqual(flat(table[`${name} ${dtype}`]));
  },
);

test("a training step has at most 700 launches and one wait", () => {
  for (const [name, { launches, waits }] of Object.entries(table)) {
    expect(launches, name).toBeLessThanOrEqual(MOST_LAUNCHES);
    expect(waits, name).toBe(1);
  }
});
