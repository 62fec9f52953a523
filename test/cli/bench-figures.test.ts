import { describe, expect, test } from "bun:test";
import { benchMarkdown, benchText } from "../../cli/bench/bench-text.ts";
import type { Measurement } from "../../cli/bench/measure.ts";
import { bartFlops, debertaFlops, generationFlops } from "../../cli/bench/needed-flops.ts";
import { type Round, peerSettings } from "../../cli/bench/peer.ts";
import { gemmPeak } from "../../cli/bench/gemm-peak.ts";
import { profiled } from "../../cli/bench/profile.ts";
import { fitLinearCost } from "../../cli/bench/scaling.ts";
import { scalingSvg } from "../../cli/bench/scaling-svg.ts";
import { scalingText } from "../../cli/bench/scaling-text.ts";
import { spread, summarize } from "../../cli/bench/summary.ts";
import { createCountingBackend } from "../../core/backend/counting.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { bart } from "../../plugins/bart/index.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { OTHER, PRODUCT, withDeviceClock } from "../helpers/outside-device.ts";

const debertaBase = deberta.parseConfig({
  vocab_size: 128100,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  relative_attention: true,
  position_buckets: 256,
  max_position_embeddings: 512,
  share_att_key: true,
});
const stack = (side: string) => ({
  [`${side}_layers`]: 6,
  [`${side}_attention_heads`]: 12,
  [`${side}_ffn_dim`]: 3072,
});
const bartBase = bart.parseConfig({
  vocab_size: 50265,
  d_model: 768,
  ...stack("encoder"),
  ...stack("decoder"),
});

describe("needed operations are those of a count by hand", () => {
  test.each([
    [Array<number>(16).fill(128), 807_640_989_696],
    [[290, 17, 60], 164_007_493_632],
  ])("of a step of DeBERTa-base", (lengths, operations) => {
    expect(debertaFlops(lengths, debertaBase, { rank: 12, training: true })).toBe(operations);
  });

  test("of a step of BART-base", () => {
    const targets = [10, 20, 64];
    expect(bartFlops([100, 50, 333], targets, bartBase, { rank: 12 })).toBe(139_273_924_608);
  });

  test("of writing: beams multiply what is written, not what is read", () => {
    const search = { beams: 1, tokens: 2 };
    const one = generationFlops([50], bartBase, search);
    const layer = 2 * (6 * 768 ** 2 + 2 * 768 * 3072) + 4 * 768 * (2 + 50);
    const second = 6 * layer + 2 * 768 * 50265;
    expect(generationFlops([50], bartBase, { ...search, beams: 4 }) - one).toBe(3 * second);
  });
});

const measurement = (seconds: number, over: Partial<Measurement> = {}): Measurement => ({
  stepSeconds: [seconds, seconds],
  startUpSeconds: 2,
  peakRssMib: 1000,
  otherLoad: 0,
  tokens: [100, 300],
  neededFlops: [1e9, 3e9],
  gemmPeak: 4e9,
  finalValue: 0.7,
  checkpointing: false,
  ...over,
});

const round = (secondsPerStep: number): Round => ({
  secondsPerStep,
  startUpSeconds: 10,
  peakRssMib: 4000,
  otherLoad: 0,
  versions: { torch: "2" },
});

const result = summarize(
  "rte-b32",
  [1, 4, 2].map((seconds) => measurement(seconds)),
  { settings: peerSettings("rte-b32"), rounds: [8, 12, 12].map(round) },
);

describe("a summary", () => {
  test("has medians, ratios round by round, and the share of the peak", () => {
    expect(result).toMatchObject({
      secondsPerStep: { min: 1, median: 2, max: 4 },
      tokensPerSecond: 100,
      gemmBound: 0.25,
      neededGflop: 2,
      peer: {
        settings: { alloc: "keep", bf16Mode: "autocast" },
        speedUp: { min: 3, median: 6, max: 8 },
        memory: { min: 0.25, median: 0.25, max: 0.25 },
        startUp: { min: 0.2, median: 0.2, max: 0.2 },
      },
    });
  });

  test("of an even number of rounds has the middle of the two", () => {
    expect(spread([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 });
  });

  test("is a row of a Markdown table", () => {
    expect(benchMarkdown([result]).split("\n").at(-1)).toBe(
      "| rte-b32 | 2.00 s | 100 | 0.25 | 12.0 s | 6.0x (3.0-8.0) | 0.25x (0.25-0.25) | 0.20x (0.20-0.20) |",
    );
  });

  test("says in every table that layers were run again", () => {
    const rounds = { settings: peerSettings("rte-b32"), rounds: [round(8)] };
    const again = summarize("rte-b32", [measurement(1, { checkpointing: true })], rounds);
    expect([again.checkpointing, result.checkpointing]).toEqual([true, false]);
    const lines = benchText([again]).split("\n");
    expect(lines.filter((line) => line.startsWith("rte-b32, checkpointing  "))).toHaveLength(2);
    expect(benchMarkdown([again])).toContain("\n| rte-b32, checkpointing | 1.00 s |");
    expect(benchText([result])).not.toContain("checkpointing");
  });

  test("leaves out rounds that the peer did not come through, and says so", () => {
    const rounds = { settings: peerSettings("rte-b32"), rounds: [round(8), undefined, round(12)] };
    const partial = summarize(
      "rte-b32",
      [1, 4, 2].map((seconds) => measurement(seconds)),
      rounds,
    );
    expect(partial.secondsPerStep.median).toBe(2);
    expect(partial.peer).toMatchObject({ failed: 1, speedUp: { min: 6, median: 7, max: 8 } });
    expect(benchText([partial])).toContain("rte-b32: PEFT failed in 1 of its rounds");
    expect(benchText([result])).not.toContain("failed");
  });

  test("says where others disturbed it", () => {
    const busy = summarize("rte-b32", [measurement(1, { otherLoad: 1.26 })]);
    expect(benchText([busy])).toContain("rte-b32: other processes kept up to 1.3 processors busy");
    expect(benchText([result])).not.toContain("busy");
  });
});

describe("a scaling measurement", () => {
  const sample = (rows: number, seconds: number) => ({
    rows,
    tokens: 100 * rows,
    seconds: spread([seconds]),
  });
  const scaling = (last: number) => ({
    workload: "full-b16" as const,
    checkpointing: false,
    otherLoad: 0,
    ...fitLinearCost([sample(4, 4), sample(8, 8), sample(64, last)]),
  });

  test("of a linear cost is on the line", () => {
    const { points, secondsPerToken } = scaling(64);
    expect(secondsPerToken).toBeCloseTo(0.01, 12);
    for (const { ofLinear } of points) expect(ofLinear).toBeCloseTo(1, 12);
    expect(scalingText(scaling(64))).toContain(
      "full-b16: step time per token is within 20 % of linear (worst 0 %)",
    );
    const again = { ...scaling(64), checkpointing: true };
    expect(scalingText(again)).toStartWith("full-b16, checkpointing: step time");
    expect(scalingSvg(again, "f32")).toContain("full-b16, checkpointing, f32: step time");
  });

  test("of a cost that grows faster says so", () => {
    expect(scalingText(scaling(128))).toContain("is NOT within 20 % of linear (worst 41 %)");
  });

  test("is drawn with a point for each size", () => {
    const svg = scalingSvg(scaling(64), "f32");
    // one more is the legend's
    expect(svg.match(/<circle/g)).toHaveLength(4);
    expect(svg).not.toContain("NaN");
  });
});

test("a profile's calls lie within its phases, and all time is accounted for", async () => {
  const { backend, phase, times, trace } = profiled(createReferenceBackend());
  await phase("step", async () => {
    const buffer = phase("inner", () => backend.alloc("f64", 100_000));
    await Bun.sleep(2);
    backend.zero(buffer);
  });
  const events = trace().traceEvents;
  expect(events.map(({ name }) => name)).toEqual(["step", "inner", "alloc", "zero"]);
  const [step, inner, alloc, zero] = events;
  const within = (child: typeof step, parent: typeof step) =>
    child!.ts >= parent!.ts && child!.ts + child!.dur <= parent!.ts + parent!.dur + 1e-6;
  expect([within(inner, step), within(alloc, inner), within(zero, step)]).toEqual([
    true,
    true,
    true,
  ]);
  expect(within(zero, inner)).toBe(false);
  const seconds = times().reduce((sum, each) => sum + each.seconds, 0);
  expect(seconds).toBeCloseTo(step!.dur / 1e6, 6);
});

test("a phase that fails ends, and its error is the caller's alone", async () => {
  const { phase, trace } = profiled(createReferenceBackend());
  const failing = phase("failing", () => Promise.reject(new Error("the step")));
  await expect(failing).rejects.toThrow("the step");
  expect(trace().traceEvents.map(({ name }) => name)).toEqual(["failing"]);
});

test("a profile lists the kernels of a composed call, and counts their time once", () => {
  const { backend, phase, times, trace } = profiled(createReferenceBackend());
  const values = (length: number) => backend.alloc("f64", length);
  const [x, weight, z] = [values(60_000), values(60_000), values(40_000)];
  const none = { bias: undefined, increments: [], activation: undefined };
  const member = { weight, outputs: 200, ...none, z, y: z };
  phase("step", () => backend.linears(x, [member], { rows: 200, inputs: 300 }));
  const timed = new Map(times().map(({ kernel, seconds }) => [kernel, seconds]));
  const [whole, product] = ["linears", "gemm"].map((kernel) =>
    trace().traceEvents.find(({ name }) => name === kernel)!,
  );
  expect(timed.get("gemm")).toBeCloseTo(product!.dur / 1e6, 9);
  expect(timed.get("linears")).toBeCloseTo((whole!.dur - product!.dur) / 1e6, 9);
});

describe("on a device whose calls return before they are done", () => {
  const types = { activation: "f32", master: "f32" } as const;

  test("a profile has the device's times, not those of the calls", () => {
    const { backend, phase, times, trace } = profiled(withDeviceClock(createReferenceBackend()));
    const [x, weight, z] = [6, 8, 12].map((length) => backend.alloc("f64", length));
    for (const buffer of [x!, weight!]) backend.upload(buffer, new Float64Array(buffer.length));
    phase("step", () => {
      phase("forward", () => backend.gemm(x!, weight!, z!, { m: 3, n: 4, k: 2 }));
      backend.scale(z!, 2, z!);
      backend.scale(z!, 2, z!);
    });
    const byName = new Map(times().map(({ kernel, ...rest }) => [kernel, rest]));
    expect(byName.get("gemm (adapters)")).toEqual({ calls: 1, seconds: PRODUCT / 1000 });
    expect(byName.get("scale")).toEqual({ calls: 2, seconds: (2 * OTHER) / 1000 });
    expect(byName.get("alloc")).toEqual({ calls: 3, seconds: 0 });
    const spans = trace().traceEvents.map(({ name, dur }) => [name, dur / 1000]);
    expect(spans.slice(0, 2)).toEqual([
      ["step", PRODUCT + 2 * OTHER],
      ["forward", PRODUCT],
    ]);
  });

  test("a profile that is reset starts anew", () => {
    const { backend, times, reset } = profiled(withDeviceClock(createCountingBackend(types)));
    const buffer = backend.alloc("f32", 8);
    backend.zero(buffer);
    reset();
    expect(times()).toEqual([]);
    backend.zero(buffer);
    expect(times()).toEqual([{ kernel: "zero", calls: 1, seconds: OTHER / 1000 }]);
  });

  test("the measured peak is the device's", () => {
    const peak = gemmPeak(withDeviceClock(createCountingBackend(types)), 3);
    expect(peak).toBeCloseTo((2 * 4096 * 768 * 3072) / (PRODUCT / 1000), -3);
  });

  test("its memory has a column of its own", () => {
    const rounds = [400, 410, 405].map((deviceMib) => measurement(1, { deviceMib }));
    const onDevice = summarize("rte-b32", rounds);
    expect(onDevice.deviceMib).toEqual({ min: 400, median: 405, max: 410 });
    expect(benchText([onDevice])).toMatch(/ MiB  device MiB .*\n.* 1000 +405 /);
    expect(benchText([result])).not.toContain("device MiB");
  });
});
