/**
 * Call tracing of native libraries, enabled by environment variables. Disabled, symbols are
 * returned unwrapped at no cost.
 */
import { writeSync } from "node:fs";

type Native = (...args: unknown[]) => unknown;

interface Timings {
  count: number;
  total: number;
  readonly micros: number[];
}

/** Percentiles cover this many first calls of a symbol; count and total cover all. */
const KEPT_CALLS = 1_000_000;

const timings = new Map<string, Timings>();

/**
 * Wraps a library's symbols. ADALORA_DEBUG_FFI=1 logs each call with its arguments, result and time
 * to stderr; ADALORA_TRACE_FFI=1 prints count, total time and percentiles per symbol at exit.
 */
export function traced<S extends object>(library: string, symbols: S, env = process.env): S {
  const debug = env["ADALORA_DEBUG_FFI"] === "1";
  const trace = env["ADALORA_TRACE_FFI"] === "1";
  if (!debug && !trace) return symbols;
  if (trace && process.listenerCount("exit", writeReport) === 0) process.on("exit", writeReport);
  const wrapped = new Map<string | symbol, unknown>();
  return new Proxy<S>(
    { ...symbols },
    {
      get(target, name) {
        const fn: unknown = Reflect.get(target, name);
        if (!isNative(fn)) return fn;
        const label = `${library} ${String(name)}`;
        if (!wrapped.has(name)) {
          const timed = trace ? timer(label, fn) : fn;
          wrapped.set(name, debug ? logger(label, timed) : timed);
        }
        return wrapped.get(name);
      },
    },
  );
}

const isNative = (value: unknown): value is Native => typeof value === "function";

function timer(name: string, fn: Native): Native {
  const record: Timings = { count: 0, total: 0, micros: [] };
  timings.set(name, record);
  return (...args: unknown[]) => {
    const start = Bun.nanoseconds();
    const result = fn(...args);
    const micros = (Bun.nanoseconds() - start) / 1e3;
    record.count += 1;
    record.total += micros;
    if (record.count <= KEPT_CALLS) record.micros.push(micros);
    return result;
  };
}

function logger(name: string, fn: Native): Native {
  return (...args) => {
    const start = Bun.nanoseconds();
    const result = fn(...args);
    const micros = ((Bun.nanoseconds() - start) / 1e3).toFixed(1);
    writeSync(2, `ffi ${name}(${args.map(shown).join(", ")}) -> ${shown(result)}  ${micros} us\n`);
    return result;
  };
}

function shown(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}[${value.byteLength} bytes]`;
  return typeof value === "number" && value > 0xffff_ffff
    ? `0x${value.toString(16)}`
    : String(value);
}

const writeReport = () => writeSync(2, traceReport());

/** Formats one line per symbol, the most expensive first. */
function traceReport(): string {
  const rows = [...timings]
    .filter(([, t]) => t.count > 0)
    .toSorted(([, a], [, b]) => b.total - a.total);
  const head =
    "symbol".padEnd(40) +
    ["calls", "total ms", "p50 us", "p90 us", "p99 us", "max us"].map(cell).join("");
  const lines = rows.map(([name, t]) => {
    const sorted = t.micros.toSorted((a, b) => a - b);
    const at = (q: number) => (sorted[Math.floor(q * (sorted.length - 1))] ?? 0).toFixed(1);
    const cells = [String(t.count), (t.total / 1e3).toFixed(1), at(0.5), at(0.9), at(0.99), at(1)];
    return name.padEnd(40) + cells.map(cell).join("");
  });
  return [head, ...lines, ""].join("\n");
}

const cell = (text: string) => text.padStart(12);
