import { closeSync, openSync, readSync } from "node:fs";
import { errors } from "../../core/errors.ts";
import { libc } from "../libc.ts";

/** Instruction-set levels of the C kernels, lowest first. */
export const LEVELS = ["avx2", "avx512", "avx512bf16", "amx"] as const;
/** An instruction-set level. */
export type Level = (typeof LEVELS)[number];

/** What a level adds to those below it: flags in /proc/cpuinfo and flags of the compiler. */
const NEEDS: Readonly<Record<Level, { cpu: readonly string[]; compiler: readonly string[] }>> = {
  avx2: {
    cpu: ["avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe"],
    compiler: "-mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt -mmovbe".split(" "),
  },
  avx512: {
    cpu: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    compiler:
      "-mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512".split(" "),
  },
  avx512bf16: { cpu: ["avx512_bf16"], compiler: ["-mavx512bf16"] },
  amx: { cpu: ["amx_tile", "amx_bf16"], compiler: ["-mamx-tile", "-mamx-bf16"] },
};

/** `level` and the levels below it. */
const upTo = (level: Level): readonly Level[] => LEVELS.slice(0, LEVELS.indexOf(level) + 1);

/** Whether the C kernels of a level include those over bf16. */
export const hasBf16Kernels = (level: Level): boolean => upTo(level).includes("avx512");

/** Compiler flags of a level. */
export const levelFlags = (level: Level): string[] =>
  upTo(level).flatMap((each) => NEEDS[each].compiler);

/**
 * Flags of the first CPU in /proc/cpuinfo, without amx_tile if the system denies it to this
 * process: Linux (since 5.16) requires one request per process.
 */
export function cpuFlags(): ReadonlySet<string> {
  const head = Buffer.alloc(16_384); // the first CPU's entry; the others repeat it
  const file = openSync("/proc/cpuinfo", "r");
  const read = readSync(file, head);
  closeSync(file);
  const line = /^flags\s*:(.*)$/m.exec(head.toString("latin1", 0, read))?.[1] ?? "";
  const flags = new Set(line.trim().split(/\s+/));
  if (flags.has("amx_tile") && !requestTiles()) flags.delete("amx_tile");
  return flags;
}

/** arch_prctl(2) of x86-64. */
const SYS_ARCH_PRCTL = 158;
const ARCH_REQ_XCOMP_PERM = 0x1023;
const XFEATURE_XTILEDATA = 18;

/** By libc alone: loading the kernels would load OpenMP, whose settings must be in place first. */
const requestTiles = () =>
  libc.syscall(SYS_ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) === 0;

/**
 * Levels that this CPU can run, lowest first, at most ADALORA_ISA. Throws E_MACHINE for a CPU
 * without AVX2, and if ADALORA_ISA names an unknown or unsupported level.
 */
export function usableLevels(
  flags: ReadonlySet<string> = cpuFlags(),
  env: NodeJS.ProcessEnv = process.env,
): readonly Level[] {
  const missing = NEEDS.avx2.cpu.filter((flag) => !flags.has(flag));
  if (missing.length > 0)
    throw errors.machine(
      `the CPU backend needs AVX2 and its companions: this CPU lacks ${missing.join(", ")}`,
      "run it on an x86-64 processor of 2015 or later",
    );
  const has = (level: Level) => NEEDS[level].cpu.every((flag) => flags.has(flag));
  const usable = LEVELS.filter((level) => upTo(level).every(has));
  const cap = env["ADALORA_ISA"];
  if (cap === undefined || cap === "") return usable;
  const end = usable.findIndex((level) => level === cap);
  if (end < 0)
    throw errors.machine(`ADALORA_ISA is "${cap}"`, `this CPU can run: ${usable.join(", ")}`);
  return usable.slice(0, end + 1);
}

/**
 * Why this CPU cannot run bf16, or undefined if it can: oneDNN's products need AVX512-BF16 or AMX,
 * and the C kernels level avx512.
 */
export function bf16Refusal(
  flags: ReadonlySet<string> = cpuFlags(),
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  if (!flags.has("avx512_bf16") && !flags.has("amx_bf16"))
    return "this CPU has neither avx512_bf16 nor amx_bf16";
  if (usableLevels(flags, env).includes("avx512")) return undefined;
  return `the kernels of level ${usableLevels(flags, env).at(-1)} have no bf16`;
}
