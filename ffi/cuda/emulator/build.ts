import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { errors } from "../../../core/errors.ts";
import { cpuFlags } from "../../cpu/isa.ts";
import { sanitizer } from "../../libc.ts";
import { nativeDir } from "../../paths.ts";
import type { KernelImage } from "../kernels.ts";

const EMULATOR = import.meta.dir;
const KERNELS = join(EMULATOR, "../kernels");

/** What kernels are compiled with; the other files are the driver's. */
const LANGUAGE = ["host.h", "fibers.h", "launch.h", "checks.h", "exchange.h", "tensor-cores.h"];

/** Under the address sanitizer, if that is preloaded: test/cuda/sanitized.ts. */
const SANITIZED =
  sanitizer === undefined ? [] : ["-fsanitize=address,undefined", "-g1", "-fno-omit-frame-pointer"];

const INCLUDES = ["-I", EMULATOR, "-I", KERNELS];
const COMMON = "-std=c++17 -fPIC -fvisibility=hidden -shared -Wall -Wextra".split(" ");
const DRIVER_FLAGS = [...COMMON, "-O1", "-ldl", ...SANITIZED];
/** The checks report misaligned accesses and indices past an array: see checks.h. */
const KERNEL_FLAGS = [
  ...COMMON,
  ..."-O1 -ffp-contract=fast -fno-math-errno -fsanitize=alignment,bounds -Wno-unused-parameter -Wno-unknown-pragmas".split(
    " ",
  ),
  ...INCLUDES,
  ...SANITIZED,
  ...(["avx2", "fma"].every((flag) => cpuFlags().has(flag)) ? ["-DADL_AVX2"] : []),
];

/** An emulated device: its driver, which is its CUDA libraries too, and the kernels. */
export interface Emulator {
  /** Path of the library that has the functions of libcuda, cuBLAS, cuBLASLt and cuSOLVER. */
  readonly driver: string;
  /** An "image" is the path of a library, ended by a zero. */
  readonly images: readonly KernelImage[];
}

/**
 * Compiles the emulated device with g++ (or CXX), unless that has been done: `to` keeps the
 * libraries by the hashes of their sources. Throws E_MACHINE where there is no compiler.
 */
export async function buildEmulator(to = join(nativeDir, "emulator")): Promise<Emulator> {
  mkdirSync(to, { recursive: true });
  const compiler = findCompiler();
  const families = filesOf(KERNELS, ".cu").map((file) => basename(file, ".cu"));
  const scratch = mkdtempSync(join(to, "tmp."));
  const header = once(() => precompileHeader(compiler, scratch));
  const tasks = [
    () => buildDriver(compiler, to),
    ...families.map((family) => () => buildFamily(compiler, family, to, header)),
  ];
  const [driver = "", ...libraries] = await inParallel(tasks).finally(() =>
    rmSync(scratch, { recursive: true, force: true }),
  );
  return {
    driver,
    images: families.map((family, i) => ({ family, image: Buffer.from(`${libraries[i]}\0`) })),
  };
}

interface Compiler {
  readonly command: string;
  readonly version: string;
}

function findCompiler(): Compiler {
  const command = process.env["CXX"] ?? "g++";
  try {
    const probe = Bun.spawnSync([command, "--version"], { stdin: "ignore", stderr: "ignore" });
    const [version] = probe.stdout.toString().split("\n");
    if (probe.exitCode === 0 && version !== undefined) return { command, version };
  } catch {
    // no such command
  }
  throw errors.machine(`no C++ compiler: ${command} did not run`, "apt-get install g++");
}

const filesOf = (dir: string, ...endings: readonly string[]) =>
  readdirSync(dir)
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .toSorted()
    .map((file) => join(dir, file));

function keyOf(compiler: Compiler, flags: readonly string[], files: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify([compiler, flags]));
  for (const file of files) hash.update(basename(file)).update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

/** Compiles the driver's sources as one: parsing the standard library takes longer than all else. */
async function buildDriver(compiler: Compiler, to: string): Promise<string> {
  const sources = filesOf(EMULATOR, ".cpp");
  const headers = ["state.h", "products.h", "launch.h"].map((name) => join(EMULATOR, name));
  const key = keyOf(compiler, DRIVER_FLAGS, [...sources, ...headers]);
  const library = join(to, `driver-${key}.so`);
  const text = sources.map((source) => `#include "${source}"\n#undef ENTER\n`).join("");
  if (!existsSync(library)) await compileUnit(library, text, [compiler.command], DRIVER_FLAGS);
  return library;
}

/**
 * Precompiles the language, which all families include: parsing it takes as long as compiling a
 * small one. Returns the flags that include it.
 */
async function precompileHeader({ command }: Compiler, folder: string): Promise<string[]> {
  const header = join(folder, "language.h");
  writeFileSync(header, '#include "host.h"\n');
  await run([command, ...KERNEL_FLAGS, "-x", "c++-header", header, "-o", `${header}.gch`]);
  return ["-include", header];
}

/** Calls a function at most once. */
function once<T>(work: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => (result ??= { value: work() }).value;
}

async function buildFamily(
  compiler: Compiler,
  family: string,
  to: string,
  header: () => Promise<readonly string[]>,
): Promise<string> {
  const source = join(KERNELS, `${family}.cu`);
  const headers = [...filesOf(KERNELS, ".h"), ...LANGUAGE.map((name) => join(EMULATOR, name))];
  const key = keyOf(compiler, KERNEL_FLAGS, [source, ...headers]);
  const library = join(to, `${family}-${key}.so`);
  if (existsSync(library)) return library;
  const names = await entryNames(compiler, source);
  const command = [compiler.command, ...(await header())];
  await compileUnit(library, entries(source, names), command, KERNEL_FLAGS);
  return library;
}

/** Names of a source's kernels: macros make them, so the preprocessor lists them. */
async function entryNames(compiler: Compiler, source: string): Promise<string[]> {
  const words = ["-DADL_EMULATED", "-DKERNEL=adl_kernel_entry", "-D__launch_bounds__(...)="];
  const flags = ["-std=c++17", "-E", "-P", ...words, "-x", "c++"];
  const text = await run([compiler.command, ...flags, ...INCLUDES, source]);
  return [...text.matchAll(/\badl_kernel_entry\s+void\s+(\w+)\s*\(/g)].map(
    ([, name]) => name ?? "",
  );
}

const entries = (source: string, names: readonly string[]) => `
#include "host.h"
#include "checks.h"
#include "${source}"
static const adl_kernel list[] = {
${names.map((name) => `  ADL_ENTRY(${name})`).join("\n")}
};
extern "C" __attribute__((visibility("default"))) const adl_kernel *adl_kernels(int *count) {
  *count = ${names.length};
  return list;
}
`;

/** Compiles a text to a library, under a temporary name: other processes may build the same. */
async function compileUnit(
  library: string,
  text: string,
  command: readonly string[],
  flags: readonly string[],
) {
  const [unit, part] = [`${library}.${process.pid}.cpp`, `${library}.${process.pid}.part`];
  writeFileSync(unit, text);
  try {
    await run([...command, unit, ...flags, "-o", part]);
  } finally {
    rmSync(unit, { force: true });
  }
  renameSync(part, library);
}

/** Runs the compiler; returns its output. Throws E_MACHINE with its first error. */
async function run(command: readonly string[]): Promise<string> {
  const env = { ...process.env, LD_PRELOAD: "" }; // a sanitizer would slow the compiler down
  const child = Bun.spawn([...command], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [text, warnings] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) {
    const lines = warnings.split("\n");
    const first = lines.find((line) => /error|undefined reference/.test(line)) ?? warnings;
    throw new Error(`the emulator does not compile: ${first.trim()}\n${warnings}`);
  }
  if (warnings !== "") process.stderr.write(warnings);
  return text;
}

async function inParallel<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  async function work() {
    while (next < tasks.length) {
      const at = next++;
      results[at] = await tasks[at]!();
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return results;
}
