import { afterEach, expect, test } from "bun:test";
import { checkBackend, openBackend } from "../../cli/backend.ts";
import { AdaloraError } from "../../core/errors.ts";
import type { CudaBackend } from "../../ffi/cuda/backend.ts";
import { createEmulatedBackend, openOn } from "../../ffi/cuda/emulator/backend.ts";
import { buildEmulator, type Emulator } from "../../ffi/cuda/emulator/build.ts";
import { controlEmulator } from "../../ffi/cuda/emulator/control.ts";
import { available } from "../helpers/available.ts";
import { callEvery } from "./every-function.ts";

const { reason } = await available(async () => {
  const { backend } = await createEmulatedBackend();
  backend.close();
  return backend;
});
if (reason !== undefined) test.skip(`errors of native calls (${reason})`, () => {});
else checkErrors(await buildEmulator());

const MIB = 2 ** 20;

/** Functions that open something, with those that close it. */
const PAIRS = [
  ["cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"],
  ["cuStreamCreate", "cuStreamDestroy_v2"],
  ["cuEventCreate", "cuEventDestroy_v2"],
  ["cuModuleLoadData", "cuModuleUnload"],
  ["cuMemAddressReserve", "cuMemAddressFree"],
  ["cuMemCreate", "cuMemRelease"],
  ["cuMemMap", "cuMemUnmap"],
  ["cuMemHostAlloc", "cuMemFreeHost"],
  ["cublasCreate_v2", "cublasDestroy_v2"],
  ...["", "MatmulDesc", "MatrixLayout", "MatmulPreference"].map(
    (what) => [`cublasLt${what}Create`, `cublasLt${what}Destroy`] as const,
  ),
] as const;

/** The text of the error that a call throws. */
function errorOf(call: () => unknown): string {
  try {
    call();
    return "no error";
  } catch (error) {
    return String(error);
  }
}

function checkErrors(device: Emulator) {
  const control = controlEmulator(device.driver);
  afterEach(() => {
    control.reset();
    // After an error a device gives no memory back: other files find free what they would otherwise.
    control.apply({ compute: 1, quiet: 0, memory: control.report().used + 2 ** 30 });
  });

  test.each([
    ["cuInit", 803, "reboot"],
    ["cuDevicePrimaryCtxRetain", 46, "another process has the device for itself"],
    ["cuDevicePrimaryCtxRetain", 2, "nvidia-smi lists other processes"],
    ["cuModuleLoadData", 222, "NVRTC is newer than the driver"],
    ["cuMemHostAlloc", 2, "this is the host's memory: raise the limit of locked memory"],
    ["cublasCreate_v2", 3, "the device may lack memory"],
    ["cublasCreate_v2", 8, "cuBLAS does not know the device"],
    ["cuStreamSynchronize", 214, "the device's memory has failed"],
    ["cuStreamSynchronize", 999, "whether the device is lost; --resume continues"],
  ])("%s that returns %i has a hint", async (call, status, hint) => {
    control.reset();
    control.fail(call, 1, status);
    let backend: CudaBackend | undefined;
    try {
      backend = await openOn(device);
      callEvery(backend);
      throw new Error("nothing failed");
    } catch (error) {
      expect(error).toMatchObject({ code: "E_NATIVE", hint: expect.stringContaining(hint) });
      expect(String(error)).toContain(`[${call}`);
    } finally {
      backend?.close();
    }
  });

  test("an error of a kernel comes late, and with debugSync names it", async () => {
    control.set("quiet", 1);
    for (const debugSync of [false, true]) {
      const backend = await openOn(device, { debugSync });
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

  test("after an error of a kernel, every call and the closing have that error", async () => {
    control.apply({ quiet: 1, compute: 0 });
    const backend = await openOn(device);
    const [x, y] = [backend.alloc("f32", 8), backend.alloc("f32", 8)];
    backend.upload(x, [1]);
    const late = backend.startDownload!(x);
    const wrong = backend.alloc("f32", 8);
    Object.assign(wrong, { pointer: 4096 });
    backend.scale(wrong, 2, wrong);
    const calls = {
      cuStreamSynchronize: () => backend.download(x),
      cuEventSynchronize: () => late(),
      cuLaunchKernel: () => backend.scale(x, 2, x),
      cublasLtMatmul: () => backend.gemm(x, x, y, { m: 2, n: 2, k: 2 }),
      cuMemcpyHtoDAsync_v2: () => backend.upload(x, [1]),
      cuMemHostAlloc: () => backend.startDownload!(x),
      cuMemcpyDtoDAsync_v2: () => backend.copy(y, x),
      cuMemsetD8Async: () => backend.zero(x),
      cuEventCreate: () => backend.timer?.mark(),
      cuMemCreate: () => backend.alloc("f32", 64 * MIB),
      "": () => backend.close(),
    };
    backend.gemm(x, x, y, { m: 2, n: 2, k: 2 }); // its plan is made before
    const text = "CUDA_ERROR_ILLEGAL_ADDRESS: an earlier kernel failed; --debug-sync names it";
    for (const [name, call] of Object.entries(calls)) {
      const error = errorOf(call);
      expect([name, error]).toEqual([name, expect.stringContaining(text)]);
      expect(error).toStartWith(`AdaloraError: [${name}`);
    }
  });

  test("--debug-sync reaches the device", async () => {
    control.set("quiet", 1);
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
    expect(() => backend.zero(x)).toThrow("[cuStreamSynchronize after cuMemsetD8Async] ");
    control.reset();
    const y = backend.alloc("f32", 8);
    expect(() => backend.copy(y, x)).toThrow("[cuStreamSynchronize after cuMemcpyDtoDAsync_v2] ");
    control.reset();
    expect(() => checkBackend({ device: "cpu", dtype: "f32", debugSync: true })).toThrow(
      "--debug-sync needs --device cuda: cpu reports errors where they happen",
    );
  });

  test("every native call, made to fail, is an error that names it and leaves nothing", async () => {
    const seen = new Set<string>();
    // The first call only tells a stub of the driver, by one status.
    for (let n = 2; ; n++) {
      control.reset();
      const { used, pinned } = control.report();
      control.fail("*", n, 999);
      let backend: CudaBackend | undefined;
      try {
        backend = await openOn(device);
        expect(callEvery(backend)).toBe(18 + 21);
        const whole = backend;
        backend = undefined; // a second close would free twice
        whole.close();
        break;
      } catch (error) {
        if (!(error instanceof AdaloraError)) throw error;
        expect([n, error.code]).toEqual([n, "E_NATIVE"]);
        const [, name = ""] = /^\[(\w+)/.exec(error.message) ?? [];
        seen.add(name);
        const { calls } = control.report();
        control.reset();
        backend?.close();
        const end = control.report();
        const count = (call: string) => (calls[call] ?? 0) + (end.calls[call] ?? 0);
        for (const [opens, closes] of PAIRS)
          expect([n, name, closes, count(closes)]).toEqual([
            n,
            name,
            closes,
            count(opens) - Number(name === opens),
          ]);
        if (!PAIRS.some(([, closes]) => closes === name))
          expect([n, name, end.used, end.pinned]).toEqual([n, name, used, pinned]);
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
}
