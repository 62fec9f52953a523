import { type AdaloraError, errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { type CodePoints, codePoints } from "../text/code-points.ts";
import { formatCell } from "./labels.ts";
import { type RawAnswer, type RawQuestion, rawAnswers } from "./squad-raw.ts";
import { textOf } from "./text-field.ts";

/** A span of the context that answers the question. */
interface SquadAnswer {
  readonly text: string;
  /** Start offset, in code points of the context. */
  readonly start: number;
}

/** A question on a context, exactly as in the file. */
export interface SquadExample {
  /** Index among the split's examples, from 0; equal to its index in the list. */
  readonly index: number;
  readonly id: string;
  readonly question: string;
  readonly context: string;
  /** Empty: the context has no answer. Absent: unknown, as in a test set. */
  readonly answers?: readonly SquadAnswer[];
}

interface QuestionRules {
  /** Whether answers are required, may be missing (a test set), or are ignored. */
  readonly labels: "required" | "optional" | "ignored";
  /** Whether a context may lack the answer, as in SQuAD 2.0. */
  readonly unanswerable: boolean;
  /** Reports something suspicious; `location` is called for the first of a kind only. */
  readonly warn: (kind: string, location: () => string, message: string) => void;
}

/**
 * Returns a function that checks one question per call. It throws E_FILE on anything that could
 * fail a run later.
 */
export function questionChecker(
  rules: QuestionRules,
): (raw: RawQuestion, index: number) => SquadExample {
  const seen = new Map<string, RawQuestion>();
  let last = { text: "", points: codePoints("") };
  return (raw, index) => {
    const id = idOf(raw, index, rules);
    const earlier = seen.get(id);
    if (earlier !== undefined) {
      throw errors.file(
        raw.location("id"),
        `the id ${excerpt(id)} is used twice: first at ${earlier.location("id")}`,
      );
    }
    seen.set(id, raw);
    const subject = `question ${excerpt(id)}`;
    const question = namedText(raw, "question", subject, rules);
    const context = namedText(raw, "context", subject, rules);
    // consecutive questions usually share a context
    if (context !== last.text) last = { text: context, points: codePoints(context) };
    const answers = answersOf(raw, subject, last.points, rules);
    return { index, id, question, context, ...(answers === undefined ? {} : { answers }) };
  };
}

function idOf(raw: RawQuestion, index: number, { warn }: QuestionRules): string {
  const { id } = raw;
  const location = () => raw.location("id");
  if (id === null) return String(index);
  if (typeof id === "bigint" || (typeof id === "number" && Number.isSafeInteger(id))) {
    warn("id", location, `"id" ${id} is a number: predictions will use the text "${id}"`);
    return String(id);
  }
  return textOf({ value: id, key: "id", subject: "the question", location });
}

function namedText(
  raw: RawQuestion,
  part: "question" | "context",
  subject: string,
  { warn }: QuestionRules,
): string {
  const key = raw.keys[part];
  const location = () => raw.location(part);
  const text = textOf({ value: raw[part], key, subject, location });
  if (text.trim() === "") warn(`empty ${part}`, location, `${subject}: "${key}" is empty`);
  return text;
}

function answersOf(
  raw: RawQuestion,
  subject: string,
  context: CodePoints,
  rules: QuestionRules,
): readonly SquadAnswer[] | undefined {
  if (rules.labels === "ignored") return undefined;
  const { isImpossible, keys } = raw;
  const isMissing = raw.answers === undefined || raw.answers === null;
  if (isMissing && rules.labels === "optional") return undefined;
  if (isMissing && isImpossible !== true) {
    throw errors.file(raw.location(), `${subject} lacks "${keys.answers}"`);
  }
  const answers = (isMissing ? [] : rawAnswers(raw, subject)).map((answer) =>
    checkAnswer(answer, raw, subject, context, rules),
  );
  if (answers.length === 0) checkUnanswerable(raw, subject, rules);
  else if (isImpossible === true) {
    const message = `${subject}: "is_impossible" is true, but it has an answer: the answer is used`;
    rules.warn("impossible", () => raw.location("is_impossible"), message);
  }
  return answers;
}

function checkUnanswerable(raw: RawQuestion, subject: string, rules: QuestionRules): void {
  if (!rules.unanswerable) {
    throw errors.file(
      raw.location("answers"),
      `${subject} has no answer, and this task has no unanswerable questions`,
      "use squad_v2 for questions without an answer",
    );
  }
  if (raw.isImpossible !== false) return;
  rules.warn(
    "unanswered",
    () => raw.location("is_impossible"),
    `${subject}: "is_impossible" is false, but it has no answer: it is treated as unanswerable`,
  );
}

function checkAnswer(
  { text: value, start, path }: RawAnswer,
  raw: RawQuestion,
  subject: string,
  context: CodePoints,
  { warn }: QuestionRules,
): SquadAnswer {
  const location = (key: "text" | "answer_start") => raw.location(...path(key));
  const answer = `an answer of ${subject}`;
  const text = textOf({ value, key: "text", subject: answer, location: () => location("text") });
  const at = offsetOf(start);
  const fault = (rule: string, hint?: string): AdaloraError =>
    errors.file(location("answer_start"), `${subject}: "answer_start" ${rule}`, hint);
  if (at === undefined || at < 0) {
    throw fault(
      `must be an integer from 0, got ${start === undefined ? "none" : formatCell(start)}`,
    );
  }
  if (text === "") warn("empty answer", () => location("text"), `${subject}: an answer is empty`);
  if (at + (text === "" ? 0 : 1) > context.length) {
    throw fault(`${at} is past the end of the context (${context.length} characters)`);
  }
  const found = context.slice(at, at + codePoints(text).length);
  if (found !== text) {
    const rule = `${at} does not point at the answer ${abbreviate(text)}: the context reads ${abbreviate(found)} there`;
    throw fault(rule, mismatchHint(raw.context, context, text, at));
  }
  return { text, start: at };
}

function offsetOf(value: unknown): number | undefined {
  const number = typeof value === "bigint" ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

/** Where the answer actually is, which often reveals what was counted. */
function mismatchHint(value: unknown, context: CodePoints, text: string, at: number) {
  if (typeof value !== "string") return undefined;
  if (value.startsWith(text, at)) {
    const expected = context.indexOfUnit(at);
    return `${at} counts UTF-16 units; offsets count code points, an emoji as one: ${expected} is correct`;
  }
  const first = value.indexOf(text);
  if (first === -1) return "the context does not hold the answer's text";
  return `the context first holds the answer at ${context.indexOfUnit(first)}`;
}

function abbreviate(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
