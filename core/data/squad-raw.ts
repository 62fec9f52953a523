import { errors } from "../errors.ts";
import { isJsonObject } from "../io/json-file.ts";
import type { JsonPath } from "./json-line.ts";
import { typeOf } from "./json-table.ts";
import type { KeptCells } from "./kept-columns.ts";

/** A question as in the file, unchecked; undefined marks a missing part. */
export interface RawQuestion {
  /** null when the file has no ids and questions are identified by index. */
  readonly id: unknown;
  readonly question: unknown;
  readonly context: unknown;
  readonly answers: unknown;
  readonly isImpossible: unknown;
  /** The file's names of the parts, for messages. */
  readonly keys: {
    readonly question: string;
    readonly context: string;
    readonly answers: string;
  };
  /** The row's cells by column: all of a document's, or those that the split keeps. */
  readonly cells: () => KeptCells;
  /** The location of the question, or of one of its parts. */
  readonly location: (...path: JsonPath) => string;
}

/** An answer as in the file, unchecked. */
export interface RawAnswer {
  readonly text: unknown;
  readonly start: unknown;
  /** The path of one of its parts within the question. */
  readonly path: (key: "text" | "answer_start") => JsonPath;
}

/**
 * A question's answers in either layout: a list of { text, answer_start } (the official files), or
 * an object with a list of each (the hub); a CSV cell holds either as JSON. Throws E_FILE on
 * anything else.
 */
export function rawAnswers(raw: RawQuestion, subject: string): readonly RawAnswer[] {
  const { keys, location } = raw;
  const layoutError = (rule: string) =>
    errors.file(
      location("answers"),
      `${subject}: "${keys.answers}" ${rule}`,
      '"answers" is [{"text": "…", "answer_start": 0}] or {"text": ["…"], "answer_start": [0]}',
    );
  const value = typeof raw.answers === "string" ? parseJson(raw.answers) : raw.answers;
  if (Array.isArray(value))
    return value.map((answer: unknown, i) => answerObject(answer, i, layoutError));
  if (!isJsonObject(value)) throw layoutError(`is ${typeOf(value)}, not a list of answers`);
  const { text: texts, answer_start: starts } = value;
  if (!Array.isArray(texts) || !Array.isArray(starts)) {
    throw layoutError('must hold the lists "text" and "answer_start"');
  }
  if (texts.length !== starts.length) {
    throw layoutError(`has ${texts.length} "text" and ${starts.length} "answer_start"`);
  }
  return texts.map((text: unknown, i) => ({
    text,
    start: starts[i] as unknown,
    path: (key) => ["answers", key, i],
  }));
}

function answerObject(answer: unknown, i: number, layoutError: (rule: string) => Error): RawAnswer {
  if (!isJsonObject(answer)) throw layoutError(`holds ${typeOf(answer)}, not an object`);
  return {
    text: answer["text"],
    start: answer["answer_start"],
    path: (key) => ["answers", i, key],
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // the caller reports that it is not a list
  }
}
