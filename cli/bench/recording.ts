import type { Timer } from "../../core/backend.ts";

/** A call or a phase, in milliseconds. */
export interface Interval {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** A call of a kernel. */
export interface Call extends Interval {
  /** Milliseconds in calls that it made itself. */
  readonly inner: number;
}

/** A named part of the work. */
export interface Phase extends Interval {
  /** Number of enclosing phases. */
  readonly depth: number;
}

/** Marks points in time, and tells when they were. */
interface Clock {
  mark(): number;
  /** The marks' times in milliseconds from a common start. */
  read(marks: readonly number[]): readonly number[];
  clear(): void;
}

/** The host's clock: right for calls that end when they return. */
export const wallClock: Clock = {
  mark: () => performance.now(),
  read: (marks) => marks,
  clear() {},
};

/** The clock of a device's work. */
export const deviceClock = (timer: Timer): Clock => ({
  mark: () => timer.mark(),
  read: (marks) => (marks.length === 0 ? [] : timer.read(marks)),
  clear: () => timer.clear(),
});

/** Records calls and phases by the marks of a clock. */
export function record(clock: Clock) {
  const calls: Recorded[] = [];
  const phases: Recorded[] = [];
  let current: Recorded | undefined;
  let depth = 0;
  return {
    call<T>(name: string, work: () => T): T {
      const start = clock.mark();
      const outer = current;
      const call = { name, start, end: start, depth, outer };
      calls.push(call);
      current = call;
      try {
        return work();
      } finally {
        call.end = clock.mark();
        current = outer;
      }
    },
    phase<T>(name: string, part: () => T): T {
      const phase = { name, start: clock.mark(), end: 0, depth: depth++, outer: undefined };
      const end = () => {
        depth--;
        phase.end = clock.mark();
        phases.push(phase);
      };
      const result = part();
      if (result instanceof Promise) void result.then(end, end);
      else end();
      return result;
    },
    read: () => readRecords(clock, calls, phases),
    clear() {
      calls.length = 0;
      phases.length = 0;
      clock.clear();
    },
  };
}

// --- internal ---

/** A call or a phase whose times have not been read. */
interface Recorded {
  readonly name: string;
  readonly start: number;
  end: number;
  /** Number of enclosing phases. */
  readonly depth: number;
  /** The call that made this one. */
  readonly outer: Recorded | undefined;
}

function readRecords(
  clock: Clock,
  calls: readonly Recorded[],
  phases: readonly Recorded[],
): { readonly calls: readonly Call[]; readonly phases: readonly Phase[] } {
  const all = [...phases, ...calls].toSorted((a, b) => a.start - b.start);
  const times = clock.read(all.flatMap(({ start, end }) => [start, end]));
  const spans = new Map(all.map((one, i) => [one, [times[2 * i]!, times[2 * i + 1]!] as const]));
  const inner = new Map<Recorded, number>();
  for (const call of calls) {
    const [start, end] = spans.get(call)!;
    if (call.outer) inner.set(call.outer, (inner.get(call.outer) ?? 0) + end - start);
  }
  const interval = (one: Recorded): Interval => {
    const [start, end] = spans.get(one)!;
    return { name: one.name, start, end };
  };
  return {
    calls: calls.map((call) => ({ ...interval(call), inner: inner.get(call) ?? 0 })),
    phases: phases.map((phase) => ({ ...interval(phase), depth: phase.depth })),
  };
}
