import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SquadExample } from "../../../core/data/squad-question.ts";
import { debertaTokenizer } from "../../../core/text/families/deberta.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import type { Tokenizer } from "../../../core/text/tokenizer.ts";
import { tinyDir } from "../text/fixtures.ts";

/** A window as transformers' code makes it. */
export interface ExpectedWindow {
  readonly id: string;
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
  readonly start: number;
  readonly end: number;
  /** null outside the context. */
  readonly offsets: readonly (readonly [number, number] | null)[];
}

/** One of the n best answers. */
export interface ExpectedCandidate {
  readonly start_logit: number;
  readonly end_logit: number;
  readonly text: string;
  readonly probability: number;
}

interface Expected {
  readonly examples: readonly {
    readonly id: string;
    readonly question: string;
    readonly context: string;
    readonly answers: {
      readonly text: readonly string[];
      readonly answer_start: readonly number[];
    };
  }[];
  readonly sizes: readonly {
    readonly maxLength: number;
    readonly stride: number;
    readonly windows: readonly ExpectedWindow[];
  }[];
  /** Of the windows of the second size. */
  readonly start: readonly (readonly number[])[];
  readonly end: readonly (readonly number[])[];
  readonly answers: readonly {
    readonly unanswerable: boolean;
    readonly nBest: number;
    readonly maxAnswerLength: number;
    readonly nullThreshold: number;
    readonly predictionsText: string;
    readonly nbest: Readonly<Record<string, readonly ExpectedCandidate[]>>;
    readonly nullOdds?: Readonly<Record<string, number>>;
  }[];
}

/** What the reference does with the tiny tokenizer; how it was made: test/fixtures/qa/make.py. */
export const expected: Expected = JSON.parse(
  readFileSync(join(import.meta.dir, "../../fixtures/qa/expected.json"), "utf8"),
);

/** The questions of the fixture. */
export const examples: readonly SquadExample[] = expected.examples.map(
  ({ id, question, context, answers: { text, answer_start: starts } }, index) => ({
    index,
    id,
    question,
    context,
    answers: text.map((answer, i) => ({ text: answer, start: starts[i] ?? 0 })),
  }),
);

/** The tokenizer that the windows were made with. */
export const tinyTokenizer = (): Promise<Tokenizer> => loadTokenizer(tinyDir, debertaTokenizer);
