import { expect, test } from "bun:test";
import { ABI, CUBLAS_STATUSES, CUSOLVER_STATUSES, NVRTC_STATUSES } from "../../ffi/cuda/abi.ts";
import { CUBLAS_SYMBOLS } from "../../ffi/cuda/cublas.ts";
import { CUBLASLT_SYMBOLS } from "../../ffi/cuda/cublaslt-symbols.ts";
import { CUSOLVER_SYMBOLS } from "../../ffi/cuda/cusolver.ts";
import { DRIVER_SYMBOLS } from "../../ffi/cuda/driver.ts";
import headers from "./abi.json" with { type: "json" };

const values: Readonly<Record<string, number>> = headers.values;

test("the values of CUDA's headers are those of the headers", () => {
  for (const [name, value] of Object.entries(ABI))
    expect([name, value as number]).toEqual([name, values[name]!]);
});

test("status names stand at the headers' numbers, all of them", () => {
  for (const [prefix, names] of Object.entries({
    CUBLAS_STATUS_: CUBLAS_STATUSES,
    CUSOLVER_STATUS_: CUSOLVER_STATUSES,
    NVRTC_ERROR_: NVRTC_STATUSES,
  })) {
    const listed = Object.entries(values).filter(([name]) => name.startsWith(prefix));
    expect(Object.fromEntries(listed.map(([name, value]) => [value, name]))).toEqual({ ...names });
  }
});

test("the structs that the memory pool fills are laid out as the headers say", () => {
  // pool.ts writes [type, handle types, location type, location id], and [location type, id, flags].
  const at = (name: string) => values[name];
  expect(at("CUmemAllocationProp.type")).toBe(0);
  expect(at("CUmemAllocationProp.requestedHandleTypes")).toBe(4);
  expect(at("CUmemAllocationProp.location")).toBe(8);
  expect([at("CUmemLocation.type"), at("CUmemLocation.id"), at("sizeof CUmemLocation")]).toEqual([
    0, 4, 8,
  ]);
  expect([at("CUmemAccessDesc.location"), at("CUmemAccessDesc.flags")]).toEqual([0, 8]);
  expect(at("sizeof CUmemAccessDesc")).toBe(12);
  expect([at("sizeof CUdeviceptr"), at("sizeof CUmemGenericAllocationHandle")]).toEqual([8, 8]);
});

test("symbols are those to which the headers map the functions", () => {
  const mapped = new Set(Object.values(headers.symbols));
  // The first version is in every driver; cuEventElapsedTime_v2 came with CUDA 12.8.
  mapped.delete("cuEventElapsedTime_v2");
  mapped.add("cuEventElapsedTime");
  const tables = [DRIVER_SYMBOLS, CUBLAS_SYMBOLS, CUBLASLT_SYMBOLS, CUSOLVER_SYMBOLS];
  const used = tables.flatMap((table) => Object.keys(table));
  expect(new Set(used)).toEqual(mapped);
});
