import { isWordCharacter, parseRegex, RegexError, type RegexNode } from "./regex-parser.ts";

/** What all matches of one file may cost together, in visited instructions. */
export interface WorkBudget {
  left: number;
}

/** A regular expression that is matched in time linear in the text. */
export interface BoundedRegex {
  /**
   * Whether it matches the whole text, as Python's `re.fullmatch`. Throws a RegexError when the work
   * budget is spent.
   */
  fullMatch(text: string): boolean;
  /** Whether it matches the whole text, or all of it after one of its dots. Throws as `fullMatch`. */
  endMatch(text: string): boolean;
}

/** Enough for hundreds of expressions over a model of thousands of modules, within a second. */
export const regexBudget = (): WorkBudget => ({ left: 5_000_000 });

const MAX_SOURCE = 1000;
const MAX_INSTRUCTIONS = 5000;

/**
 * Compiles an expression in Python's syntax to a Thompson automaton, whose states advance through
 * the text together: nothing backtracks, so no expression is catastrophic. Throws a RegexError for
 * syntax that such an automaton lacks, or one that is too large.
 */
export function compileRegex(source: string, budget: WorkBudget): BoundedRegex {
  if (source.length > MAX_SOURCE) throw new RegexError(`of at most ${MAX_SOURCE} characters`);
  const program: Instruction[] = [];
  emit(parseRegex(source), program, { size: 0 });
  program.push({ op: "accept" });
  const search = (text: string, afterDots: boolean) => {
    const codes = Array.from(text, (char) => char.codePointAt(0) ?? 0);
    return run(program, codes, { start: 0, afterDots, whole: true }, budget);
  };
  return {
    fullMatch: (text) => search(text, false),
    endMatch: (text) => search(text, true),
  };
}

// --- internal ---

type Instruction =
  | { readonly op: "char"; readonly test: (code: number) => boolean }
  | { readonly op: "assert"; readonly holds: (codes: readonly number[], at: number) => boolean }
  | { readonly op: "fork"; readonly first: number; second: number }
  | { readonly op: "jump"; to: number }
  | { readonly op: "look"; readonly program: readonly Instruction[]; readonly negated: boolean }
  | { readonly op: "accept" };

const isWordAt = (codes: readonly number[], at: number) =>
  at >= 0 && at < codes.length && isWordCharacter(codes[at]!);
const isWordEdge = (codes: readonly number[], at: number) =>
  isWordAt(codes, at - 1) !== isWordAt(codes, at);

const ASSERTIONS = {
  start: (_codes: readonly number[], at: number) => at === 0,
  end: (codes: readonly number[], at: number) => at === codes.length,
  wordEdge: isWordEdge,
  noWordEdge: (codes: readonly number[], at: number) => !isWordEdge(codes, at),
};

/** Appends the instructions of a node; `total` counts those of lookaheads too. */
function emit(node: RegexNode, program: Instruction[], total: { size: number }): void {
  if (++total.size > MAX_INSTRUCTIONS) throw new RegexError("that is smaller");
  switch (node.kind) {
    case "char":
      program.push({ op: "char", test: node.test });
      return;
    case "assert":
      program.push({ op: "assert", holds: ASSERTIONS[node.at] });
      return;
    case "sequence":
      for (const part of node.parts) emit(part, program, total);
      return;
    case "choice":
      emitChoice(node.options, program, total);
      return;
    case "lookahead": {
      const inner: Instruction[] = [];
      emit(node.node, inner, total);
      program.push({ op: "look", program: [...inner, { op: "accept" }], negated: node.negated });
      return;
    }
    case "repeat":
      emitRepeat(node, program, total);
  }
}

function emitChoice(
  options: readonly RegexNode[],
  program: Instruction[],
  total: { size: number },
): void {
  const ends: { op: "jump"; to: number }[] = [];
  for (const [i, option] of options.entries()) {
    const fork = { op: "fork" as const, first: program.length + 1, second: 0 };
    if (i < options.length - 1) program.push(fork);
    emit(option, program, total);
    if (i === options.length - 1) continue;
    const end = { op: "jump" as const, to: 0 };
    ends.push(end);
    program.push(end);
    fork.second = program.length;
  }
  for (const end of ends) end.to = program.length;
}

function emitRepeat(
  { node, min, max }: RegexNode & { kind: "repeat" },
  program: Instruction[],
  total: { size: number },
): void {
  for (let i = 0; i < min; i++) emit(node, program, total);
  const forks: { op: "fork"; first: number; second: number }[] = [];
  const fork = () => {
    const made = { op: "fork" as const, first: program.length + 1, second: 0 };
    program.push(made);
    forks.push(made);
  };
  if (max === Infinity) {
    const start = program.length;
    fork();
    emit(node, program, total);
    program.push({ op: "jump", to: start });
  } else {
    for (let i = min; i < max; i++) {
      fork();
      emit(node, program, total);
    }
  }
  for (const made of forks) made.second = program.length;
}

/** Where a match starts, and whether it must end at the text's end. */
interface Bounds {
  readonly start: number;
  /** Whether it may also start after a dot behind `start`. */
  readonly afterDots: boolean;
  readonly whole: boolean;
}

const DOT = 46;

/** Advances all states through the text together, each at most once a character. */
function run(
  program: readonly Instruction[],
  codes: readonly number[],
  { start, afterDots, whole }: Bounds,
  budget: WorkBudget,
): boolean {
  const seen = new Int32Array(program.length).fill(-1);
  let current = [0];
  for (let at = start; ; at++) {
    const next: number[] = [];
    const pending = current;
    if (afterDots && at > start && codes[at - 1] === DOT) pending.push(0);
    while (pending.length > 0) {
      const pc = pending.pop()!;
      if (seen[pc] === at) continue;
      seen[pc] = at;
      if (--budget.left < 0) throw new RegexError("that takes less work to match");
      const instruction = program[pc]!;
      switch (instruction.op) {
        case "char":
          if (at < codes.length && instruction.test(codes[at]!)) next.push(pc + 1);
          break;
        case "assert":
          if (instruction.holds(codes, at)) pending.push(pc + 1);
          break;
        case "fork":
          pending.push(instruction.second, instruction.first);
          break;
        case "jump":
          pending.push(instruction.to);
          break;
        case "look": {
          const bounds = { start: at, afterDots: false, whole: false };
          const found = run(instruction.program, codes, bounds, budget);
          if (found !== instruction.negated) pending.push(pc + 1);
          break;
        }
        case "accept":
          if (!whole || at === codes.length) return true;
      }
    }
    if (at === codes.length || (next.length === 0 && !afterDots)) return false;
    current = next;
  }
}
