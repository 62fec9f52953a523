import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import type { Launch } from "../../ffi/cuda/observe.ts";
import type { Alignment } from "../conformance/bench.ts";
import { cases } from "../conformance/cases.ts";
import { type ConformanceOptions, runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";
import { misfits, watchLaunches } from "./launch-limits.ts";
import { readTable } from "./registers.ts";

/** Set by all-orders.ts, which tests what takes too long for every run of the tests. */
const isThorough = process.env["ADALORA_ALL_ORDERS"] === "1";
const ORDERS = [0, 1, 2, 3, 4, 5] as const;

/** Entries whose f32 kernels read four columns at once where rows are aligned. */
const VECTORS = /^(linears|addLowRank|addFactorGradient)/;
const ATTENTION = /^(disentangledA|a)ttention/;

/**
 * Tests the emulated device in a dtype under the two orders that differ most: the lowest thread
 * runs as far as it gets and work is done at once; then the highest does, and work is as late as it
 * may be. In f32 both must set the same bits, of buffers that begin anywhere; kernels that treat
 * aligned rows four columns at a time get such rows too. In bf16 attention has an alignment under
 * each: only aligned rows are copied by cp.async, and only a copy that lands late shows a missing
 * wait, so aligned and late go together.
 */
export async function conformEmulated(dtype: "f32" | "bf16"): Promise<void> {
  let emulated: EmulatedBackend | undefined;
  const { observe, largest } = watchLaunches();
  const { reason } = await available(
    async () => (emulated = await createEmulatedBackend(dtype, { observe })).backend,
  );
  if (emulated === undefined)
    return test.skip(`the emulated cuda device in ${dtype} (${reason})`, () => {});
  const { backend, control } = emulated;
  beforeAll(() => control.reset());
  afterAll(() => backend.close());
  const under = (order: number, early: boolean) => () => {
    control.set("order", order);
    control.set("early", early ? 1 : 0);
  };
  const [first, second] = [under(2, true), under(3, false)];
  const both = (call: "first" | "repeated") => (call === "first" ? first() : second());
  const conform = (
    orders: string,
    isChosen: (name: string) => boolean,
    options: Pick<ConformanceOptions, "alignments" | "alternate" | "prepare">,
  ) => {
    const only = cases.flatMap(({ name }) => (isChosen(name) ? [name] : []));
    describe(`under ${orders}`, () => runConformance(backend, { ...options, only }));
  };
  const once = (alignment: Alignment, prepare: () => void) => {
    return { alignments: [alignment], alternate: true, prepare };
  };
  if (isThorough) {
    for (const order of ORDERS)
      for (const early of [true, false])
        for (const alignment of ["odd", "aligned"] as const)
          conform(
            `order ${order}, ${early ? "early" : "late"}, ${alignment}`,
            () => true,
            once(alignment, under(order, early)),
          );
    return;
  }
  if (dtype === "f32") {
    conform("both orders", () => true, { alignments: ["odd"], prepare: both });
    conform("the second order, aligned", (name) => VECTORS.test(name), once("aligned", second));
    fitEvery(largest);
    return;
  }
  const isAttention = (name: string) => ATTENTION.test(name);
  conform("both orders", (name) => !isAttention(name), {
    alignments: ["odd", "aligned"],
    alternate: true,
    prepare: both,
  });
  conform("the first order", isAttention, once("odd", first));
  conform("the second order", isAttention, once("aligned", second));
  fitEvery(largest);
}

/** Tests that every launch of the cases before fits every device. */
function fitEvery(largest: ReadonlyMap<string, Launch>): void {
  test("every launch fits the registers and shared memory of every architecture", () => {
    expect(largest.size).toBeGreaterThan(30);
    expect(misfits(readTable(), largest)).toEqual([]);
  });
}
