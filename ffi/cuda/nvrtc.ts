import { type FFIFunction, type Pointer, ptr } from "bun:ffi";
import { errors } from "../../core/errors.ts";
import { type NativeLibrary, openLibrary } from "../load.ts";
import { NVRTC_STATUSES } from "./abi.ts";
import { whileOpen } from "./close-all.ts";
import { out, outAddress, outHandle, outInt } from "./driver.ts";

const [P, I] = ["ptr", "i32"] as const;

/** Functions of libnvrtc, by the names of their symbols. */
export const NVRTC_SYMBOLS = {
  nvrtcVersion: { args: [P, P], returns: I },
  nvrtcGetNumSupportedArchs: { args: [P], returns: I },
  nvrtcGetSupportedArchs: { args: [P], returns: I },
  nvrtcCreateProgram: { args: [P, P, P, I, P, P], returns: I },
  nvrtcDestroyProgram: { args: [P], returns: I },
  nvrtcCompileProgram: { args: [P, I, P], returns: I },
  nvrtcGetProgramLogSize: { args: [P, P], returns: I },
  nvrtcGetProgramLog: { args: [P, P], returns: I },
  nvrtcGetCUBINSize: { args: [P, P], returns: I },
  nvrtcGetCUBIN: { args: [P, P], returns: I },
  nvrtcGetPTXSize: { args: [P, P], returns: I },
  nvrtcGetPTX: { args: [P, P], returns: I },
} as const satisfies Record<string, FFIFunction>;

const HINT = "npm run setup -- --cuda fetches it, or run with --device cpu";

/** What a family of kernels is compiled for: machine code of one capability, or PTX. */
export interface Target {
  readonly capability: number;
  readonly kind: "cubin" | "ptx";
}

/** A source with the headers that it includes, by name. */
export interface Source {
  readonly name: string;
  readonly text: string;
  readonly headers: ReadonlyMap<string, string>;
}

/** A compiled source, and the compiler's messages. */
export interface Compiled {
  readonly image: Uint8Array;
  readonly log: string;
}

/** An open NVRTC. */
export interface Nvrtc {
  readonly path: string;
  /** "13.2" */
  readonly version: string;
  /** Capabilities times ten, ascending. */
  readonly capabilities: readonly number[];
  /** Throws E_NATIVE with the compiler's log. */
  compile(source: Source, target: Target, options?: readonly string[]): Compiled;
}

/** Opens libnvrtc. Throws E_LIBRARY with each path and its error. */
export function openNvrtc(candidates: readonly string[]): Nvrtc {
  const { path, symbols } = openLibrary("NVRTC", candidates, NVRTC_SYMBOLS, HINT);
  check(symbols.nvrtcGetNumSupportedArchs(out), "nvrtcGetNumSupportedArchs");
  const archs = new Int32Array(new ArrayBuffer(4 * outInt()));
  check(symbols.nvrtcGetSupportedArchs(archs), "nvrtcGetSupportedArchs");
  const version = new Int32Array(new ArrayBuffer(8));
  check(symbols.nvrtcVersion(version, version.subarray(1)), "nvrtcVersion");

  /** What the last call passed by address; it outlives the call. */
  const kept: { last: readonly unknown[] } = { last: [] };

  return {
    path,
    version: version.join("."),
    capabilities: [...archs].toSorted((a, b) => a - b),
    compile({ name, text, headers }, { capability, kind }, options = []) {
      const architecture = `${kind === "cubin" ? "sm" : "compute"}_${capability}`;
      const given = [`--gpu-architecture=${architecture}`, ...NVRTC_OPTIONS, ...options];
      const names = strings([...headers.keys()]);
      const texts = strings([...headers.values()]);
      const flags = strings(given);
      kept.last = [names, texts, flags];
      const [source, file] = [cString(text), cString(name)];
      const made = symbols.nvrtcCreateProgram(
        out,
        source,
        file,
        headers.size,
        texts.list,
        names.list,
      );
      check(made, "nvrtcCreateProgram");
      const program = { symbols, handle: outHandle() };
      return whileOpen((onOpen) => {
        onOpen(() => destroy(program));
        const compiled = symbols.nvrtcCompileProgram(program.handle, given.length, flags.list);
        const log = readLog(program, compiled);
        check(compiled, `nvrtcCompileProgram ${name} for ${architecture}`, log);
        const image =
          kind === "cubin"
            ? read(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
            : read(program, "nvrtcGetPTXSize", "nvrtcGetPTX");
        return { image, log };
      });
    },
  };
}

function check(status: number, call: string, log = "") {
  if (status === 0) return;
  const text = NVRTC_STATUSES[status] ?? "unknown error";
  throw errors.native(call, status, log === "" ? text : `${text}\n${log}`);
}

/** A created nvrtcProgram. */
interface Program {
  readonly symbols: NativeLibrary<typeof NVRTC_SYMBOLS>["symbols"];
  readonly handle: Pointer;
}

type Size = "nvrtcGetProgramLogSize" | "nvrtcGetCUBINSize" | "nvrtcGetPTXSize";
type Get = "nvrtcGetProgramLog" | "nvrtcGetCUBIN" | "nvrtcGetPTX";

/** A result of a program: bytes of a size that another function tells. */
function read({ symbols, handle }: Program, size: Size, get: Get): Uint8Array {
  check(symbols[size](handle, out), size);
  const bytes = new Uint8Array(new ArrayBuffer(outAddress()));
  check(symbols[get](handle, bytes), get);
  return bytes;
}

/** The log of a compilation that ended with `compiled`, whose error counts above the log's. */
function readLog(program: Program, compiled: number): string {
  try {
    return textOf(read(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog"));
  } catch (error) {
    if (compiled === 0) throw error;
    return "";
  }
}

function destroy({ symbols, handle }: Program) {
  const place = new BigUint64Array(new ArrayBuffer(8));
  place[0] = BigInt(handle);
  check(symbols.nvrtcDestroyProgram(place), "nvrtcDestroyProgram");
}

/** Options of every compilation: no fast maths, results must not depend on it. */
export const NVRTC_OPTIONS = ["--std=c++17", "--fmad=true"];

/** Capabilities of Tegra systems, whose machine code no other device runs. */
const TEGRA: ReadonlySet<number> = new Set([87, 101, 110]);

/**
 * The target for a device: its own capability, else an older one of the same generation, whose
 * machine code it runs, else PTX of the newest older one, which the driver compiles. Undefined: it
 * is older than all.
 */
export function targetFor(device: number, capabilities: readonly number[]): Target | undefined {
  const older = capabilities.filter(
    (each) => each <= device && (each === device || !TEGRA.has(each)),
  );
  const same = older.filter((each) => Math.floor(each / 10) === Math.floor(device / 10)).at(-1);
  if (same !== undefined) return { capability: same, kind: "cubin" };
  const newest = older.at(-1);
  return newest === undefined ? undefined : { capability: newest, kind: "ptx" };
}

/** A zero-ended copy that does not move. */
function cString(text: string): Uint8Array {
  const encoded = Buffer.from(`${text}\0`);
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
  bytes.set(encoded);
  return bytes;
}

/** A `const char **`, and the strings whose addresses it holds: these alone keep nothing alive. */
function strings(texts: readonly string[]) {
  const parts = texts.map(cString);
  const list = new BigUint64Array(new ArrayBuffer(8 * Math.max(parts.length, 1)));
  for (const [i, part] of parts.entries()) list[i] = BigInt(ptr(part));
  return { list, parts };
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString().replace(/\0+$/, "");
