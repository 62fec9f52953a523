import type { Backend, GemmShape } from "../../core/backend.ts";

/** Time spent in one kernel of the backend, or outside them all. */
export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  readonly seconds: number;
}

/** Times a backend's calls, and what they are part of. */
export interface Profile {
  readonly backend: Backend;
  /** Runs a part of the work under a name; parts nest. */
  phase<T>(name: string, part: () => T): T;
  /** By kernel, the slowest first; the time of the phases that no kernel took comes last. */
  times(): readonly KernelTime[];
  /** The format of chrome://tracing and Perfetto: microseconds, complete events, parts before what they hold. */
  trace(): { readonly traceEvents: readonly TraceEvent[] };
  reset(): void;
}

export interface TraceEvent {
  readonly name: string;
  readonly cat: "phase" | "kernel";
  readonly ph: "X";
  readonly pid: 1;
  readonly tid: 1;
  readonly ts: number;
  readonly dur: number;
}

/** A call or a phase, in milliseconds. */
interface Interval {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Wraps a backend whose calls end when they return (the CPU's do) so that each is timed. */
export function profiled(backend: Backend): Profile {
  let calls: Interval[] = [];
  let phases: (Interval & { readonly depth: number })[] = [];
  let depth = 0;
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

    phase(name, part) {
      const start = performance.now();
      depth++;
      try {
        return part();
      } finally {
        depth--;
        phases.push({ name, start, end: performance.now(), depth });
      }
    },

    times() {
      const groups = Map.groupBy(calls, ({ name }) => name);
      const times = [...groups].map(([kernel, group]) => ({
        kernel,
        calls: group.length,
        seconds: secondsIn(group),
      }));
      const whole = secondsIn(phases.filter((each) => each.depth === 0));
      const rest = { kernel: "(outside the backend)", calls: 0, seconds: whole - secondsIn(calls) };
      const slowestFirst = times.toSorted((a, b) => b.seconds - a.seconds);
      return phases.length === 0 ? slowestFirst : [...slowestFirst, rest];
    },

    trace() {
      const outer = phases.toSorted((a, b) => a.start - b.start || a.depth - b.depth);
      return {
        traceEvents: [
          ...outer.map((each) => eventOf(each, "phase")),
          ...calls.map((each) => eventOf(each, "kernel")),
        ],
      };
    },

    reset() {
      calls = [];
      phases = [];
    },
  };
}

// --- internal ---

const eventOf = ({ name, start, end }: Interval, cat: TraceEvent["cat"]): TraceEvent => ({
  name,
  cat,
  ph: "X",
  pid: 1,
  tid: 1,
  ts: start * 1000,
  dur: (end - start) * 1000,
});

const secondsIn = (intervals: readonly Interval[]) =>
  intervals.reduce((sum, { start, end }) => sum + (end - start) / 1000, 0);

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
