import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openOn } from "../../ffi/cuda/emulator/backend.ts";
import { buildEmulator, type Emulator } from "../../ffi/cuda/emulator/build.ts";
import { controlEmulator, type EmulatorSettings } from "../../ffi/cuda/emulator/control.ts";
import { claimThread } from "../../ffi/cuda/context.ts";
import { openDriver } from "../../ffi/cuda/driver.ts";
import { openSystemDriver } from "../../ffi/cuda/open.ts";
import { driverProblem } from "../../scripts/setup/cuda.ts";
import { AdaloraError, errors } from "../../core/errors.ts";
import { cudaFindings } from "../../ffi/cuda/findings.ts";
import { callEvery } from "./every-function.ts";
import { runOn, sameBits } from "../conformance/bench.ts";
import { cases } from "../conformance/cases.ts";

/** The emulated device, or why this machine can't have it. */
async function emulator(): Promise<Emulator | string> {
  try {
    return await buildEmulator();
  } catch (error) {
    if (error instanceof AdaloraError && error.code === "E_MACHINE") return error.message;
    throw error;
  }
}

const built = await emulator();
if (typeof built === "string") test.skip(`the host side of the cuda backend (${built})`, () => {});
else checkHost(built);

const MIB = 2 ** 20;

function checkHost(device: Emulator) {
  const { driver } = device;
  const control = controlEmulator(driver);

  /** Settings of a test; afterwards they are the first ones again. */
  const set = (values: EmulatorSettings) => control.apply(values);
  /** Sets the device's memory; other files of this process may have left backends open. */
  const leaveFree = (bytes: number) => set({ memory: control.report().used + bytes });
  afterEach(() => {
    control.reset();
    set({ order: 0, early: 0, compute: 1, quiet: 0 });
    set({ devices: 1, capability: 80, version: 13_000, virtual: 1 });
    leaveFree(1024 * MIB);
  });
  afterAll(() => control.reset());

  describe("a device that can't be used is refused with what to do", () => {
    const refused = async (options = {}) => {
      const error: unknown = await openOn(device, options).catch((caught: unknown) => caught);
      return error instanceof AdaloraError ? `${error.code} ${error.message}` : String(error);
    };

    test("no device", async () => {
      set({ devices: 0 });
      expect(await refused()).toBe("E_MACHINE NVIDIA's driver finds no device");
    });
    test("no device of this number", async () => {
      expect(await refused({ ordinal: 3 })).toBe(
        "E_MACHINE there is no CUDA device 3: the driver has 1",
      );
    });
    test("too old a device", async () => {
      set({ capability: 75 });
      expect(await refused()).toBe(
        "E_MACHINE emulated device has compute capability 7.5, at least 8.0 is needed",
      );
    });
    test("too old a device, for doctor as well", async () => {
      set({ capability: 75 });
      const { ADALORA_CUDA_DRIVER: before } = process.env;
      process.env["ADALORA_CUDA_DRIVER"] = driver;
      try {
        expect(await cudaFindings(0)).toEqual([
          expect.objectContaining({ what: "CUDA device", ok: false }),
        ]);
      } finally {
        if (before === undefined) delete process.env["ADALORA_CUDA_DRIVER"];
        else process.env["ADALORA_CUDA_DRIVER"] = before;
      }
    });
    test("a device without virtual memory management", async () => {
      set({ virtual: 0 });
      expect(await refused()).toBe("E_MACHINE emulated device has no virtual memory management");
    });
    test("a second device beside the first", async () => {
      set({ devices: 2 });
      const backend = await openOn(device);
      expect(await refused({ ordinal: 1 })).toBe(
        "E_MACHINE cuda:0 is in use: a process can't use cuda:1 beside it",
      );
      backend.close();
    });
    test("too old a driver, none, or something else in its place", () => {
      set({ version: 11_040 });
      const env = (path: string) => ({ ADALORA_CUDA_DRIVER: path });
      expect(() => openSystemDriver(env(driver))).toThrow(
        "NVIDIA's driver supports CUDA 11.4, at least 12.0 is needed",
      );
      const problem = (version: number) => {
        set({ version });
        return driverProblem(env(driver));
      };
      expect(problem(12_040)).toContain("driver 580 or newer; this one supports CUDA 12.4 only");
      expect(problem(13_000)).toBeUndefined();
      expect(() => openSystemDriver(env("/nowhere/libcuda.so.1"))).toThrow(
        "cannot load NVIDIA's driver\n  /nowhere/libcuda.so.1: no such file",
      );
      expect(() => openSystemDriver(env("/proc/version"))).toThrow("/proc/version: ");
    });
  });

  test("the toolkit's stub of the driver is passed over", () => {
    const root = mkdtempSync(join(tmpdir(), "adalora driver "));
    const dirs = ["stubs", "real"].map((name) => join(root, name));
    try {
      for (const dir of dirs) {
        mkdirSync(dir);
        symlinkSync(driver, join(dir, "libcuda.so.1"));
      }
      control.reset();
      control.fail("cuGetErrorName", 1, 34);
      const { path } = openSystemDriver({ LD_LIBRARY_PATH: dirs.join(":") }).driver;
      expect(path).toBe(join(root, "real/libcuda.so.1"));
      control.reset();
      control.fail("cuGetErrorName", 1, 34);
      expect(() => openDriver([driver])).toThrow(
        `cannot load NVIDIA's driver\n  ${driver}: the toolkit's stub, not NVIDIA's driver`,
      );
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test("a thread is free for another device once the first is closed", () => {
    const closing: (() => void)[] = [];
    const claim = (ordinal: number) =>
      claimThread("another driver", ordinal, (close) => closing.push(close));
    claim(0);
    claim(0);
    closing[0]!();
    expect(() => claim(1)).toThrow("cuda:0 is in use");
    closing[1]!();
    claim(1);
    closing[2]!();
  });

  test("memory that the device lacks is named, with what is free", async () => {
    leaveFree(256 * MIB);
    const backend = await openOn(device);
    const kept = backend.alloc("f32", 25 * MIB);
    expect(() => backend.alloc("f32", 100 * MIB)).toThrow(
      errors.memory(400 * MIB, 132 * MIB, 64 * MIB).message,
    );
    backend.free(kept);
    backend.free(backend.alloc("f32", 40 * MIB)); // what is left still works
    backend.close();
  });

  test.each(["cuMemCreate", "cuMemMap", "cuMemSetAccess"])(
    "where %s lacks memory, less of it is taken, and nothing is left of the attempt",
    async (call) => {
      const backend = await openOn(device);
      const { used } = control.report();
      const one = backend.alloc("f32", 25 * MIB); // 64 MiB are there, half of them cuBLAS's
      expect(control.report().used).toBe(used + 128 * MIB); // twice the increment
      control.reset();
      control.fail(call, 1, 2);
      const other = backend.alloc("f32", 25 * MIB);
      expect(control.report().used).toBe(used + (128 + 40) * MIB); // no more than is missing
      backend.free(one);
      backend.free(other);
      backend.close();
      expect(control.report().used).toBe(used - 64 * MIB);
    },
  );

  test("a call that memory does not suffice for leaves none behind, and a smaller one runs", async () => {
    set({ compute: 0 });
    leaveFree(64 * MIB); // half of it is cuBLAS's workspace
    const backend = await openOn(device);
    const [rows, rank] = [200_000, 64];
    const one = backend.alloc("f32", rows);
    const [h, factor] = [backend.alloc("f32", 100 * rank), backend.alloc("f32", rank)];
    const none = { dropout: undefined, e: undefined, de: undefined };
    const gradients = { da: factor, db: factor };
    const own = {
      ...none,
      ...gradients,
      a: factor,
      b: factor,
      h,
      scale: 1,
      rank,
      start: 0,
      cols: 1,
    };
    const layer = { weight: factor, outputs: 1, activation: undefined, dweight: undefined };
    const member = { ...layer, increments: [own], z: one, dy: one, dz: one, dbias: undefined };
    const { live } = backend.memory();
    const backward = (count: number) =>
      backend.linearsBackward(one, [member], undefined, { rows: count, inputs: 1 });
    expect(() => backward(rows)).toThrow("out of memory: cannot allocate 0.05 GiB");
    expect(backend.memory().live).toBe(live);
    backward(100);
    expect(backend.memory().live).toBe(live);
    backend.close();
  });

  test("a kernel asks for more than 48 KiB of shared memory, once, where it needs it", async () => {
    const backend = await openOn(device);
    const requested = (name: string) => {
      runOn(backend, cases.find((one) => one.name === name)!.run);
      return control.report().calls["cuFuncSetAttribute"] ?? 0;
    };
    expect(requested("attention wide heads, dropout")).toBe(0);
    expect(requested("attention widest heads, grouped")).toBe(1); // of 200 columns: 67 KB
    expect(requested("attention widest heads, grouped, logSumExp not kept")).toBe(1);
    expect(requested("attention wide heads, dropout")).toBe(1);
    backend.close();
  });

  test("uploads larger than the pinned halves arrive whole, before anything has run", async () => {
    const backend = await openOn(device);
    const n = 3 * MIB + 5; // 12 MiB in halves of 4
    const buffers = [1, -1].map((sign) => {
      const values = new Float32Array(n);
      for (let k = 0; k < n; k++) values[k] = sign * k;
      const buffer = backend.alloc("f32", n);
      backend.upload(buffer, values);
      return { buffer, values };
    });
    for (const { buffer, values } of buffers)
      expect(sameBits(backend.download(buffer), values)).toBe(true);
    backend.close();
  });

  test("a started download holds the values of its time, and waits for no later work", async () => {
    const backend = await openOn(device);
    const x = backend.alloc("f32", 4);
    backend.upload(x, [1, 2, 3, 4]);
    const before = backend.startDownload!(x);
    backend.upload(x, [5, 6, 7, 8]);
    const after = backend.startDownload!(x);
    expect([...before()]).toEqual([1, 2, 3, 4]);
    expect(control.report().pending).toBeGreaterThan(0);
    expect([...after()]).toEqual([5, 6, 7, 8]);
    expect([...before()]).toEqual([1, 2, 3, 4]);
    backend.close();
  });

  test("two backends of one device keep their values, and the second outlives the first", async () => {
    const before = control.report();
    const [first, second] = [await openOn(device), await openOn(device)];
    const values = [first, second].map((backend, i) => {
      const x = backend.alloc("f32", 4);
      backend.upload(x, [1, 2, 3, 4]);
      backend.scale(x, i + 2, x);
      return x;
    });
    expect([...first.download(values[0]!)]).toEqual([2, 4, 6, 8]);
    first.close();
    expect([...second.download(values[1]!)]).toEqual([3, 6, 9, 12]);
    expect(callEvery(second)).toBe(39);
    second.close();
    const { used, pinned } = control.report();
    expect([used, pinned]).toEqual([before.used, before.pinned]);
  });

  test("all memory is given back", async () => {
    const before = control.report();
    const backend = await openOn(device);
    callEvery(backend);
    expect(backend.memory()).toMatchObject({ live: 0, reserved: 64 * MIB });
    expect(control.report().used).toBe(before.used + 64 * MIB);
    backend.close();
    const { used, pinned } = control.report();
    expect([used, pinned]).toEqual([before.used, before.pinned]);
  });
}
