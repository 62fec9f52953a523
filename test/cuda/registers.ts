/**
 * Compiles all kernels with the real NVRTC, without a device, and keeps what each uses in
 * registers.json. Families whose code or PTX is unchanged keep their figures. All families take 150
 * CPU seconds.
 *
 * bun test/cuda/registers.ts && npm run fmt
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileSources } from "../../ffi/cuda/compile.ts";
import { cudaLibraries, MAJORS } from "../../ffi/cuda/libraries.ts";
import { type Compiled, openNvrtc, type Source } from "../../ffi/cuda/nvrtc.ts";
import { familyOf, kernelSources } from "../../ffi/cuda/sources.ts";
import { findLibraries } from "../../ffi/paths.ts";
import { fetchedNvrtc } from "../../scripts/setup/cuda.ts";
import { launchBounds } from "./launch-bounds.ts";

/** Compute capabilities that the table has, times ten. */
export const CAPABILITIES = [80, 86, 89, 90, 100, 120] as const;

/** What a kernel uses: registers a thread, bytes spilled a thread, bytes of static shared memory. */
export interface KernelUse {
  readonly registers: number;
  readonly spilled: number;
  readonly shared: number;
}

/** What a kernel uses on each of `CAPABILITIES`, and the threads that a block of it may have. */
export type KernelUses = { readonly [Key in keyof KernelUse]: readonly number[] } & {
  readonly threads: number;
};

/** The kernels of a family by name. */
export interface FamilyUses {
  /** `digestOf` its source. */
  readonly source: string;
  /** A digest of the PTX for the first capability. */
  readonly ptx: string;
  readonly kernels: Readonly<Record<string, KernelUses>>;
}

/** The contents of registers.json. */
export interface RegisterTable {
  /** The version of NVRTC whose figures these are. */
  readonly nvrtc: string;
  readonly capabilities: readonly number[];
  readonly families: Readonly<Record<string, FamilyUses>>;
}

const TABLE = join(import.meta.dir, "registers.json");

/** Reads registers.json. */
export const readTable = (): RegisterTable => JSON.parse(readFileSync(TABLE, "utf8"));

/** Paths of NVRTC on this machine, of any supported version. */
export const nvrtcCandidates = () => [
  ...MAJORS.flatMap((major) => cudaLibraries(major).nvrtc),
  ...findLibraries(/^libnvrtc\.so\.13$/, [fetchedNvrtc()]),
];

/** Hashes the code of a source and of the headers that it includes, without comments and spaces. */
export function digestOf({ text, headers }: Source): string {
  const parts: string[] = [];
  const seen = new Set<string>();
  function add(part: string) {
    parts.push(part.replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, "").replaceAll(/\s+/g, " "));
    for (const [, name = ""] of part.matchAll(/^#include "(.+)"/gm)) {
      if (seen.has(name)) continue;
      seen.add(name);
      add(headers.get(name) ?? "");
    }
  }
  add(text);
  return digest(parts.join(""));
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** Hashes PTX without the digests of its source, which are in the names of functions. */
const digestOfPtx = ({ image }: Compiled) =>
  digest(
    Buffer.from(image)
      .toString()
      .replaceAll(/_cu_[0-9a-f]{8}/g, "_cu"),
  );

/** Reads the assembler's report: --ptxas-options=-v. A kernel's functions follow it. */
export function readUses(log: string): Record<string, KernelUse> {
  const uses: Record<string, KernelUse> = {};
  for (const part of log.split("Compiling entry function").slice(1)) {
    const [, name = ""] = /'(\w+)'/.exec(part) ?? [];
    const [, registers, rest = ""] = /Used (\d+) registers([^\n]*)/.exec(part) ?? [];
    const spills = [...part.matchAll(/(\d+) bytes spill (?:stores|loads)/g)];
    uses[name] = {
      registers: Number(registers),
      spilled: spills.reduce((sum, [, bytes]) => sum + Number(bytes), 0),
      shared: Number(/(\d+) bytes smem/.exec(rest)?.[1] ?? 0),
    };
  }
  return uses;
}

/** Options of NVRTC with which its log has the assembler's report. */
export const REPORT = ["--ptxas-options=-v"];

/** The kernels of a family, compiled for all capabilities. */
function usesIn(compiled: readonly Compiled[]): Record<string, KernelUses> {
  const uses = compiled.map(({ log }) => readUses(log));
  const bounds = launchBounds(compiled[0]!.image);
  const of = (name: string, key: keyof KernelUse) => uses.map((each) => each[name]![key]);
  const names = Object.keys(uses[0]!).toSorted();
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        threads: bounds.get(name)!,
        registers: of(name, "registers"),
        spilled: of(name, "spilled"),
        shared: of(name, "shared"),
      },
    ]),
  );
}

/** Compiles a family for all capabilities, unless its PTX is that of `kept`. */
async function measure(
  nvrtc: string,
  source: Source,
  kept: FamilyUses | undefined,
): Promise<FamilyUses> {
  const target = { capability: CAPABILITIES[0], kind: "ptx" } as const;
  const [first] = await compileSources(nvrtc, [{ source, target }]);
  const digests = { source: digestOf(source), ptx: digestOfPtx(first!) };
  if (kept?.ptx === digests.ptx) return { ...kept, ...digests };
  const compilations = CAPABILITIES.map((capability) => {
    return { source, target: { capability, kind: "cubin" } as const };
  });
  const compiled = await compileSources(nvrtc, compilations, { options: REPORT });
  return { ...digests, kernels: usesIn(compiled) };
}

async function main() {
  const { path, version } = openNvrtc(nvrtcCandidates());
  const before = readTable();
  const isSame = before.nvrtc === version && Bun.deepEquals(before.capabilities, [...CAPABILITIES]);
  const families: Record<string, FamilyUses> = {};
  for (const source of kernelSources()) {
    const family = familyOf(source);
    const kept = isSame ? before.families[family] : undefined;
    const started = performance.now();
    families[family] = kept?.source === digestOf(source) ? kept : await measure(path, source, kept);
    if (families[family] === kept) continue;
    console.log(`${family}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
    const others = isSame ? before.families : {}; // kept if this is interrupted
    const table = {
      nvrtc: version,
      capabilities: CAPABILITIES,
      families: { ...others, ...families },
    };
    writeFileSync(TABLE, `${JSON.stringify(table, null, 2)}\n`);
  }
  const table = { nvrtc: version, capabilities: CAPABILITIES, families };
  writeFileSync(TABLE, `${JSON.stringify(table, null, 2)}\n`);
}

if (import.meta.main) await main();
