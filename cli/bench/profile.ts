import type { Backend, GemmShape } from "../../core/backend.ts";

/** Time spent in one kernel of the backend. */
export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  readonly seconds: number;
}

/** One call, for a trace. */
interface Call {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Wraps a backend whose calls end when they return (the CPU's do) so that each is timed. */
export function profiled(backend: Backend): {
  backend: Backend;
  times(): readonly KernelTime[];
  trace(): object;
  reset(): void;
} {
  let calls: Call[] = [];
  const wrapped = new Proxy(backend, {
    get(target, name: keyof Backend) {
      const member: unknown = target[name];
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const start = performance.now();
        const result: unknown = Reflect.apply(member, target, args);
        calls.push({ name: label(name, args), start, end: performance.now() });
        return result;
      };
    },
  });
  return {
    backend: wrapped,
    times() {
      const groups = Map.groupBy(calls, ({ name }) => name);
      const times = [...groups].map(([kernel, group]) => ({
        kernel,
        calls: group.length,
        seconds: group.reduce((sum, { start, end }) => sum + (end - start) / 1000, 0),
      }));
      return times.toSorted((a, b) => b.seconds - a.seconds);
    },
    /** The format of chrome://tracing and Perfetto: microseconds, complete events. */
    trace: () => ({
      traceEvents: calls.map(({ name, start, end }) => ({
        name,
        ph: "X",
        pid: 1,
        tid: 1,
        ts: start * 1000,
        dur: (end - start) * 1000,
      })),
    }),
    reset() {
      calls = [];
    },
  };
}

/** Products with a thin side are the adapters': told apart from the model's own. */
function label(name: string, args: readonly unknown[]): string {
  const shape = args[3];
  if (name !== "gemm" || !isGemmShape(shape)) return name;
  return Math.min(shape.m, shape.n, shape.k) <= 64 ? "gemm (adapters)" : "gemm";
}

function isGemmShape(value: unknown): value is GemmShape {
  return (
    typeof value === "object" && value !== null && "m" in value && "n" in value && "k" in value
  );
}
