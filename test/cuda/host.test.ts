import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { type CudaBackend, createCudaBackend } from "../../ffi/cuda/backend.ts";
import { buildEmulator, type Emulator } from "../../ffi/cuda/emulator/build.ts";
import { controlEmulator, type EmulatorSettings } from "../../ffi/cuda/emulator/control.ts";
import { openSystemDriver } from "../../ffi/cuda/open.ts";
import { AdaloraError, errors } from "../../core/errors.ts";
import { checkBackend, openBackend } from "../../cli/backend.ts";
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

function checkHost({ driver, images }: Emulator) {
  const control = controlEmulator(driver);
  const open = (options: { ordinal?: number; debugSync?: boolean } = {}) =>
    createCudaBackend({
      ordinal: 0,
      dtype: "f32",
      libraries: { driver: [driver], cublas: [driver], cublasLt: [driver] },
      images: () => Promise.resolve(images),
      ...options,
    });

  /** Settings of a test; afterwards they are the first ones again. */
  const set = (values: EmulatorSettings) => control.apply(values);
  /** Sets the device's memory; other files of this process may have left backends open. */
  const leaveFree = (bytes: number) => set({ memory: control.report().used + bytes });
  afterEach(() => {
    control.reset();
    set({ order: 0, early: 0, compute: 1, quiet: 0, devices: 1, capability: 80, version: 13_000 });
    leaveFree(1024 * MIB);
  });
  afterAll(() => control.reset());

  describe("a device that can't be used is refused with what to do", () => {
    const refused = async (options = {}) => {
      const error: unknown = await open(options).catch((caught: unknown) => caught);
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
    test("too old a driver, none, or something else in its place", () => {
      set({ version: 11_040 });
      const env = (path: string) => ({ ADALORA_CUDA_DRIVER: path });
      expect(() => openSystemDriver(env(driver))).toThrow(
        "NVIDIA's driver supports CUDA 11.4, at least 12.0 is needed",
      );
      expect(() => openSystemDriver(env("/nowhere/libcuda.so.1"))).toThrow(
        "cannot load NVIDIA's driver\n  /nowhere/libcuda.so.1: no such file",
      );
      expect(() => openSystemDriver(env("/proc/version"))).toThrow("/proc/version: ");
    });
  });

  test("memory that the device lacks is named, with what is free", async () => {
    leaveFree(256 * MIB);
    const backend = await open();
    const kept = backend.alloc("f32", 25 * MIB);
    expect(() => backend.alloc("f32", 100 * MIB)).toThrow(
      errors.memory(400 * MIB, 132 * MIB, 64 * MIB).message,
    );
    backend.free(kept);
    backend.free(backend.alloc("f32", 40 * MIB)); // what is left still works
    backend.close();
  });

  test("an error of a kernel comes late, and with debugSync names it", async () => {
    set({ quiet: 1 });
    for (const debugSync of [false, true]) {
      const backend = await open({ debugSync });
      const x = backend.alloc("f32", 8);
      Object.assign(x, { pointer: 4096 }); // an address of the host
      const call = () => {
        backend.scale(x, 2, x);
        backend.download(backend.alloc("f32", 1));
      };
      expect(call).toThrow(
        debugSync
          ? "[cuStreamSynchronize after scale_f32] CUDA_ERROR_ILLEGAL_ADDRESS (status 700)"
          : "[cuStreamSynchronize] CUDA_ERROR_ILLEGAL_ADDRESS: an earlier kernel failed; --debug-sync names it",
      );
      expect(control.report().fault).toContain("scale_f32, parameter 1 is no address");
      control.reset();
      backend.close();
    }
  });

  test("--debug-sync reaches the device", async () => {
    set({ quiet: 1 });
    const options = { device: "cuda-host", dtype: "f32", threads: null } as const;
    const backend = await openBackend({ ...options, debugSync: true });
    const x = backend.alloc("f32", 8);
    Object.assign(x, { pointer: 4096 });
    expect(() => backend.scale(x, 2, x)).toThrow("[cuStreamSynchronize after scale_f32]");
    control.reset();
    expect(() => backend.gemm(x, x, x, { m: 2, n: 2, k: 2 })).toThrow(
      /^\[cuStreamSynchronize after cublas(Lt)? 2x2x2\] CUDA_ERROR_ILLEGAL_ADDRESS/,
    );
    control.reset();
    expect(() => checkBackend({ device: "cpu", dtype: "f32", debugSync: true })).toThrow(
      "--debug-sync needs --device cuda: cpu reports errors where they happen",
    );
  });

  test("a kernel asks for more than 48 KiB of shared memory, once, where it needs it", async () => {
    const backend = await open();
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

  /** Uses each native function once or more. */
  function session(backend: CudaBackend) {
    const x = backend.alloc("f32", 16);
    backend.upload(x, new Float32Array(16).fill(3));
    const y = backend.alloc("f32", 16);
    backend.zero(y);
    backend.copy(y, x);
    backend.timer?.mark();
    backend.gemm(x, y, y, { m: 2, n: 2, k: 2, ldc: 4 });
    backend.add(x, y);
    backend.timer?.read([0, backend.timer.mark()]);
    const late = backend.startDownload?.(x);
    const sum = backend.download(y)[0]! + (late?.()[0] ?? 0);
    backend.free(x);
    backend.free(y);
    return sum;
  }

  test("every native call, made to fail, is an error that names it", async () => {
    const seen = new Set<string>();
    for (let n = 1; ; n++) {
      control.reset();
      control.fail("*", n, 999);
      let backend: CudaBackend | undefined;
      try {
        backend = await open();
        expect(session(backend)).toBe(18 + 21);
        const whole = backend;
        backend = undefined; // a second close would free twice
        whole.close();
        break;
      } catch (error) {
        if (!(error instanceof AdaloraError)) throw error;
        expect([n, error.code]).toEqual([n, "E_NATIVE"]);
        const [, name = ""] = /^\[(\w+)/.exec(error.message) ?? [];
        seen.add(name);
        control.reset();
        backend?.close();
      }
    }
    expect([...seen].toSorted()).toMatchInlineSnapshot(`
      [
        "cuCtxSetCurrent",
        "cuDeviceGet",
        "cuDeviceGetAttribute",
        "cuDeviceGetCount",
        "cuDeviceGetName",
        "cuDevicePrimaryCtxRelease_v2",
        "cuDevicePrimaryCtxRetain",
        "cuDeviceTotalMem_v2",
        "cuEventCreate",
        "cuEventDestroy_v2",
        "cuEventElapsedTime",
        "cuEventRecord",
        "cuEventSynchronize",
        "cuInit",
        "cuLaunchKernel",
        "cuMemAddressFree",
        "cuMemAddressReserve",
        "cuMemCreate",
        "cuMemFreeHost",
        "cuMemGetAllocationGranularity",
        "cuMemHostAlloc",
        "cuMemMap",
        "cuMemRelease",
        "cuMemSetAccess",
        "cuMemUnmap",
        "cuMemcpyDtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
        "cuMemcpyHtoDAsync_v2",
        "cuMemsetD8Async",
        "cuModuleGetFunction",
        "cuModuleLoadData",
        "cuModuleUnload",
        "cuStreamCreate",
        "cuStreamDestroy_v2",
        "cuStreamSynchronize",
        "cublasCreate_v2",
        "cublasDestroy_v2",
        "cublasGetVersion_v2",
        "cublasLtCreate",
        "cublasLtDestroy",
        "cublasLtMatmul",
        "cublasLtMatmulAlgoGetHeuristic",
        "cublasLtMatmulDescCreate",
        "cublasLtMatmulDescDestroy",
        "cublasLtMatmulDescSetAttribute",
        "cublasLtMatmulPreferenceCreate",
        "cublasLtMatmulPreferenceDestroy",
        "cublasLtMatmulPreferenceSetAttribute",
        "cublasLtMatrixLayoutCreate",
        "cublasLtMatrixLayoutDestroy",
        "cublasSetMathMode",
        "cublasSetStream_v2",
        "cublasSetWorkspace_v2",
      ]
    `);
  });

  test("uploads larger than the pinned halves arrive whole, before anything has run", async () => {
    const backend = await open();
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
    const backend = await open();
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

  test("all memory is given back", async () => {
    const before = control.report();
    const backend = await open();
    session(backend);
    expect(backend.memory()).toMatchObject({ live: 0, reserved: 64 * MIB });
    expect(control.report().used).toBe(before.used + 64 * MIB);
    backend.close();
    const { used, pinned } = control.report();
    expect([used, pinned]).toEqual([before.used, before.pinned]);
  });
}
