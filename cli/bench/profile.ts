import type { Backend } from "../../core/backend.ts";
import type { GemmShape } from "../../core/kernels/matrix.ts";
import {
  type Call,
  deviceClock,
  type Interval,
  type Phase,
  record,
  wallClock,
} from "./recording.ts";

/** Time spent in one kernel of the backend, or outside them all. */
export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  /** Without the kernels that it is composed of, which are listed too. */
  readonly seconds: number;
}

/** Times of a backend's calls and of the phases they belong to. */
export interface Profile {
  readonly backend: Backend;
  /** Runs a part of the work as a named phase; phases nest, and end when their promise does. */
  readonly phase: <T>(name: string, part: () => T) => T;
  /** Times by kernel, slowest first; last, the time of the phases outside all kernels. */
  readonly times: () => readonly KernelTime[];
  /** Complete events for chrome://tracing and Perfetto, in microseconds; phases come first. */
  readonly trace: () => { readonly traceEvents: readonly TraceEvent[] };
  /** Forgets all times. */
  readonly reset: () => void;
}

/** A complete event of the Trace Event Format; `ts` and `dur` in microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly cat: "phase" | "kernel";
  readonly ph: "X";
  readonly pid: 1;
  readonly tid: 1;
  readonly ts: number;
  readonly dur: number;
}

/**
 * Wraps a backend so that each call is timed: by its timer if it has one, which measures the
 * device's work, otherwise by the clock, which is right where calls end when they return.
 */
export function profiled(backend: Backend): Profile {
  const recording = record(backend.timer ? deviceClock(backend.timer) : wallClock);
  const wrapped: Backend = new Proxy(backend, {
    get(target, name: keyof Backend) {
      const member: unknown = target[name];
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        // Composed entries call others through `this`.
        recording.call(label(name, args), () => Reflect.apply(member, wrapped, args) as unknown);
    },
  });
  return {
    backend: wrapped,
    phase: (name, part) => recording.phase(name, part),
    times() {
      const { calls, phases } = recording.read();
      return timesOf(calls, phases);
    },
    trace() {
      const { calls, phases } = recording.read();
      const inOrder = phases.toSorted((a, b) => a.start - b.start || a.depth - b.depth);
      const kernels = calls.map((call) => eventOf(call, "kernel"));
      return { traceEvents: [...inOrder.map(phaseEvent), ...kernels] };
    },
    reset: () => recording.clear(),
  };
}

// --- internal ---

function timesOf(calls: readonly Call[], phases: readonly Phase[]): readonly KernelTime[] {
  const groups = [...Map.groupBy(calls, ({ name }) => name)];
  const times = groups.map(([kernel, group]) => ({
    kernel,
    calls: group.length,
    seconds: ownSeconds(group),
  }));
  const slowestFirst = times.toSorted((a, b) => b.seconds - a.seconds);
  if (phases.length === 0) return slowestFirst;
  const whole = secondsIn(phases.filter(({ depth }) => depth === 0));
  const rest = { kernel: "(outside the backend)", calls: 0, seconds: whole - ownSeconds(calls) };
  return [...slowestFirst, rest];
}

const phaseEvent = (phase: Phase) => eventOf(phase, "phase");

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

/** Without the calls that they made themselves. */
const ownSeconds = (calls: readonly Call[]) =>
  secondsIn(calls) - calls.reduce((sum, { inner }) => sum + inner / 1000, 0);

/** Products with a small dimension are the adapters'; they are listed apart from the model's. */
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
