import { expect, test } from "bun:test";
import { openAddGradients } from "../../ffi/cuda/backend/factor-gradients.ts";
import { openAddIncrements } from "../../ffi/cuda/backend/increments.ts";
import { openProject } from "../../ffi/cuda/backend/projections.ts";
import { CudaBuffer, type KernelType } from "../../ffi/cuda/buffer.ts";
import type { Launcher } from "../../ffi/cuda/launcher.ts";

const buffer = (type: KernelType = "f32") => new CudaBuffer(type, 64, 4096);

/** A launcher that only records names. */
function recordingLauncher() {
  const launched: string[] = [];
  const launcher: Launcher = {
    multiprocessors: 4,
    launch: (kernel) => void launched.push(kernel),
    scratch: () => buffer(),
    counters: () => new CudaBuffer("i32", 64, 4096),
    table: () => buffer(),
  };
  return { launcher, launched };
}

const shape = { cols: 8, stride: 8 };
const triplets = { rank: 4, scale: 1, e: undefined, dropout: undefined };

/** Each kind of launch, for one matrix of each type. */
const LAUNCHES: Readonly<Record<string, (on: Launcher, types: readonly KernelType[]) => void>> = {
  project(on, types) {
    const products = types.map((type) => {
      return { ...shape, ...triplets, h: buffer(), x: buffer(type), factor: buffer() };
    });
    openProject(on)(products, 8, false);
  },
  add_low_rank(on, types) {
    const targets = types.map((type) => ({ ...shape, y: buffer(type) }));
    const added = types.map(() => ({ ...triplets, h: buffer(), factor: buffer() }));
    openAddIncrements(on).toEach(targets, added, { rows: 8, transposed: true });
  },
  add_factor_gradients(on, types) {
    const gradients = types.map((type) => {
      const [gradient, left, right] = [buffer(), buffer(), buffer(type)];
      return { ...shape, ...triplets, gradient, left, right, transposed: false };
    });
    openAddGradients(on)(gradients, 8);
  },
};

test.each(Object.keys(LAUNCHES))("%s takes matrices of one type in a launch", (name) => {
  const launch = LAUNCHES[name]!;
  const { launcher, launched } = recordingLauncher();
  launch(launcher, ["bf16", "bf16"]);
  launch(launcher, ["f32", "f32"]);
  expect(launched).toEqual([`${name}_bf16`, `${name}_f32`]);
  expect(() => launch(launcher, ["bf16", "f32"])).toThrow(
    "a cuda kernel got f32 [64], expected bf16 [64]",
  );
});

test("increments of one target with a bias or an activation are those of one launch", () => {
  const { launcher, launched } = recordingLauncher();
  const increments = openAddIncrements(launcher);
  const added = (count: number) =>
    Array.from({ length: count }, () => ({ ...triplets, h: buffer(), factor: buffer() }));
  const to = { ...shape, y: buffer() };
  const own = { rows: 8, transposed: false };
  increments.toOne(to, added(9), own);
  expect(launched).toHaveLength(2);
  const activated = { kind: "gelu", buffer: buffer() } as const;
  for (const extra of [{ bias: buffer() }, { activated }]) {
    increments.toOne({ ...to, ...extra }, added(8), own);
    expect(() => increments.toOne({ ...to, ...extra }, added(9), own)).toThrow(
      "in the only launch",
    );
  }
  expect(launched).toHaveLength(4);
});
