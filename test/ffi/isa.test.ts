import { expect, test } from "bun:test";
import { bf16Refusal, cpuFlags, levelFlags, usableLevels } from "../../ffi/cpu/isa.ts";

const AVX2 = ["avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe"];
const AVX512 = ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];
const flags = (...names: string[]) => new Set(names);

test("a level is usable when it and all below it are", () => {
  expect(usableLevels(flags(...AVX2), {})).toEqual(["avx2"]);
  expect(usableLevels(flags(...AVX2, ...AVX512), {})).toEqual(["avx2", "avx512"]);
  expect(usableLevels(flags(...AVX2, ...AVX512, "avx512_bf16"), {})).toEqual([
    "avx2",
    "avx512",
    "avx512bf16",
  ]);
  expect(usableLevels(flags(...AVX2, "avx512f", "avx512_bf16"), {})).toEqual(["avx2"]);
  const amx = flags(...AVX2, ...AVX512, "avx512_bf16", "amx_tile", "amx_bf16");
  expect(usableLevels(amx, {}).at(-1)).toBe("amx");
  expect(usableLevels(amx, { ADALORA_ISA: "avx512bf16" }).at(-1)).toBe("avx512bf16");
});

test("a CPU below AVX2 is refused with what it lacks", () => {
  expect(() => usableLevels(flags("sse4_2", "avx2", "fma", "abm"), {})).toThrow(
    "the CPU backend needs AVX2 and its companions: this CPU lacks f16c, bmi1, bmi2, movbe",
  );
});

test("ADALORA_ISA lowers the level, but never raises it", () => {
  const cpu = flags(...AVX2, ...AVX512);
  expect(usableLevels(cpu, { ADALORA_ISA: "avx2" })).toEqual(["avx2"]);
  expect(() => usableLevels(cpu, { ADALORA_ISA: "avx512bf16" })).toThrow(
    'ADALORA_ISA is "avx512bf16"',
  );
});

test("bf16 needs instructions for its products, AVX512-BF16 or AMX, and kernels of level avx512", () => {
  const [cpu, none] = [flags(...AVX2, ...AVX512), {}];
  expect(bf16Refusal(cpu, none)).toBe("this CPU has neither avx512_bf16 nor amx_bf16");
  expect(bf16Refusal(new Set([...cpu, "avx512_bf16"]), none)).toBeUndefined();
  expect(bf16Refusal(new Set([...cpu, "amx_bf16"]), none)).toBeUndefined();
  expect(bf16Refusal(flags(...AVX2, "amx_bf16"), none)).toContain("level avx2 have no bf16");
  const capped = bf16Refusal(new Set([...cpu, "amx_bf16"]), { ADALORA_ISA: "avx2" });
  expect(capped).toContain("level avx2 have no bf16");
});

test("a level compiles with the flags of those below it", () => {
  expect(levelFlags("avx2")).not.toContain("-mavx512f");
  expect(levelFlags("avx512bf16")).toEqual([...levelFlags("avx512"), "-mavx512bf16"]);
});

test("this machine's flags are read", () => {
  expect([...cpuFlags()]).toContain("sse2"); // part of x86-64
});
