import { afterAll, describe, expect, test } from "bun:test";
import { ltDescriptors } from "../../ffi/cuda/cublaslt-descriptors.ts";
import { openCublasLtLibrary } from "../../ffi/cuda/cublaslt-symbols.ts";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import type { CudaContext } from "../../ffi/cuda/context.ts";
import { openCublas } from "../../ffi/cuda/cublas.ts";
import { openCublasLt } from "../../ffi/cuda/cublaslt.ts";
import { cudaLibraries, driverCandidates, isComplete, MAJORS } from "../../ffi/cuda/libraries.ts";
import { alignmentOf } from "../../ffi/cuda/plan-cache.ts";
import { available } from "../helpers/available.ts";

const check = (status: number, call: string) => expect([call, status]).toEqual([call, 0]);

const candidates = MAJORS.flatMap((major) => cudaLibraries(major).cublasLt);
const missing = candidates.length === 0 ? " (npm run setup -- --cuda fetches it)" : "";

test.skipIf(candidates.length === 0)(
  `the real cuBLASLt accepts every attribute with its size${missing}`,
  () => {
    const descriptors = ltDescriptors(openCublasLtLibrary(candidates).symbols, check);
    for (const type of ["f32", "bf16"] as const)
      for (const transposed of [false, true]) {
        const operand = { type, ld: 64, transposed };
        const shape = { m: 33, n: 48, k: 40, beta: 1, a: operand, b: operand } as const;
        const own = { ...shape, c: { type: "f32", ld: 50 }, bias: true, tf32: true } as const;
        const made = descriptors.create(own, { a: 4, b: 16, c: 256 }, 2 ** 25);
        descriptors.setBias(made.product, 4096);
        descriptors.freePreference(made.preference);
        descriptors.free(made);
      }
  },
);

const [found] = MAJORS.map((major) => cudaLibraries(major)).filter(isComplete);
const cause = driverCandidates().length > 0 ? " (there is a driver)" : missing;

test.skipIf(found === undefined || driverCandidates().length > 0)(
  `the real cuBLAS and cuBLASLt without a driver say that they are not initialized${cause}`,
  () => {
    const nothing = () => {};
    const driver = { symbols: { cuStreamSynchronize: () => 3 } };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is used
    const context = { driver, stream: null } as unknown as CudaContext;
    const { cublas, cublasLt } = found!;
    openCublasLtLibrary(cublasLt);
    const workspace = { pointer: 0, bytes: 0 };
    const failed = "CUBLAS_STATUS_NOT_INITIALIZED (status 1)";
    expect(() => openCublas(context, cublas, { alloc: () => 0 }, nothing)).toThrow(
      `[cublasCreate_v2] ${failed}`,
    );
    expect(() => openCublasLt(context, cublasLt, workspace, nothing)).toThrow(
      `[cublasLtCreate] ${failed}`,
    );
  },
);

test("the alignment of an address is its largest power of two, up to 256", () => {
  const base = 2 ** 46;
  for (const bytes of [2, 4, 8, 64, 128, 256]) expect(alignmentOf(base + 3 * bytes)).toBe(bytes);
  expect([alignmentOf(base), alignmentOf(base + 512)]).toEqual([256, 256]);
});

let emulated: EmulatedBackend | undefined;
const { reason } = await available(async () => (emulated = await createEmulatedBackend()).backend);
if (emulated === undefined) test.skip(`the emulated cuBLASLt (${reason})`, () => {});
else checkPlans(emulated);

function checkPlans({ backend, control }: EmulatedBackend) {
  afterAll(() => {
    control.reset();
    backend.close();
  });

  /** One product of an x that begins `offset` elements into its block. */
  function product(rows: number, offset: number) {
    const [x, w, y] = [rows * 4 + 8, 12, rows * 3].map((length) => backend.alloc("f32", length));
    for (const each of [x!, w!]) backend.upload(each, new Float32Array(each.length).fill(1));
    const shape = { m: rows, n: 3, k: 4, transB: true };
    backend.gemm(backend.view(x!, offset, rows * 4), w!, y!, shape);
    expect([...backend.download(y!)]).toEqual(Array<number>(rows * 3).fill(4));
    for (const each of [x!, w!, y!]) backend.free(each);
  }

  const countOf = (name: string) => control.report().calls[name] ?? 0;

  test("an algorithm is chosen once for a shape and its alignments", () => {
    control.reset();
    product(5, 0);
    product(5, 0);
    expect(countOf("cublasLtMatmulAlgoGetHeuristic")).toBe(1);
    product(6, 0);
    product(5, 1);
    expect(countOf("cublasLtMatmulAlgoGetHeuristic")).toBe(3);
    product(5, 5); // aligned to 4 bytes as well
    expect(countOf("cublasLtMatmulAlgoGetHeuristic")).toBe(3);
    expect(countOf("cublasLtMatmul")).toBe(5);
  });

  test("a product that cuBLASLt has no algorithm for is cuBLAS's", () => {
    control.reset();
    control.fail("cublasLtMatmulAlgoGetHeuristic", 1, 15);
    product(9, 0);
    product(9, 0);
    expect([countOf("cublasGemmEx"), countOf("cublasLtMatmul")]).toEqual([2, 0]);
  });

  test("one whose algorithm the device does not run is cuBLAS's from then on", () => {
    control.reset();
    control.fail("cublasLtMatmul", 1, 15);
    product(10, 0);
    product(10, 0);
    expect([countOf("cublasGemmEx"), countOf("cublasLtMatmul")]).toEqual([2, 1]);
  });

  test("a plan that can't be made leaves no descriptor behind", () => {
    const names = ["MatmulDesc", "MatrixLayout", "MatmulPreference"].map((of) => `cublasLt${of}`);
    const failing = [
      ["cublasLtMatmulDescSetAttribute", 2],
      ["cublasLtMatrixLayoutCreate", 3],
      ["cublasLtMatmulPreferenceSetAttribute", 1],
      ["cublasLtMatmulAlgoGetHeuristic", 1],
      ["cublasLtMatmulPreferenceDestroy", 1],
    ] as const;
    for (const [call, nth] of failing) {
      control.reset();
      control.fail(call, nth, 14);
      expect(() => product(11, 0)).toThrow("CUBLAS_STATUS_INTERNAL_ERROR");
      // The call that was made to fail has made nothing.
      const failed = call.endsWith("Create") ? call : "";
      for (const name of names)
        expect([call, countOf(`${name}Destroy`)]).toEqual([
          call,
          countOf(`${name}Create`) - Number(failed === `${name}Create`),
        ]);
    }
  });

  describe("a bias", () => {
    test("is added by the product where it is of the result's type", () => {
      control.reset();
      const buffers = [8, 12, 3, 6].map((length) => backend.alloc("f32", length));
      const [x, weight, bias, z] = buffers;
      for (const each of [x!, weight!]) backend.upload(each, new Float32Array(each.length).fill(1));
      backend.upload(bias!, [1, 2, 3]);
      const layer = { outputs: 3, increments: [], activation: undefined, z: z!, y: z! };
      backend.linears(x!, [{ ...layer, weight: weight!, bias }], { rows: 2, inputs: 4 });
      expect([...backend.download(z!)]).toEqual([5, 6, 7, 5, 6, 7]);
      expect(control.report().kernels).toEqual({ cublasLt: 1 });
      for (const each of buffers) backend.free(each);
    });
  });
}
