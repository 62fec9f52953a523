import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Tiny tokenizers of the families; the first two were made by: test/fixtures/text/make-tiny.py. */
export const fixtures = join(import.meta.dir, "../../fixtures/text");
/** A tiny DeBERTa tokenizer. */
export const tinyDir = join(fixtures, "tiny");
/** A tiny BART tokenizer. */
export const tinyBartDir = join(fixtures, "tiny-bart");

/** What transformers returned for an input. */
export interface ExpectedTokens {
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
  readonly offsets: readonly (readonly [number, number])[];
  readonly sequences: readonly (0 | 1 | null)[];
}

/** Tokens of a single text. */
export interface ExpectedSingle extends ExpectedTokens {
  readonly text: string;
}

/** Tokens of a pair of texts. */
export interface ExpectedPair extends ExpectedTokens {
  readonly text: string;
  readonly pair: string;
  readonly maxLength: number;
  readonly cut?: "longest" | "first" | "second";
}

/** Text of ids. */
export interface ExpectedText {
  readonly ids: readonly number[];
  readonly skipSpecialTokens: boolean;
  readonly cleanUpSpaces: boolean;
  readonly text: string;
}

/** transformers' tokens and texts. */
export interface Expected {
  readonly singles: readonly ExpectedSingle[];
  readonly pairs: readonly ExpectedPair[];
  readonly decoded: readonly ExpectedText[];
}

/** The same with what only the tiny tokenizer has. */
export interface TinyExpected extends Expected {
  readonly windows: readonly {
    readonly text: string;
    readonly pair: string | null;
    readonly maxLength: number;
    readonly stride: number;
    readonly windows: readonly ExpectedTokens[];
  }[];
  readonly tokenizerJson: unknown;
  readonly lowerAndPunctuation: { readonly text: string; readonly ids: readonly number[] };
}

/** Expected tokens of the tiny DeBERTa tokenizer. */
export const tinyExpected: TinyExpected = read(join(tinyDir, "expected.json"));
/** Expected tokens of the tiny BART tokenizer. */
export const tinyBartExpected: Expected = read(join(tinyBartDir, "expected.json"));

function read(path: string) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Runs `body` on a temporary folder with these files. */
export async function withFolder<T>(
  files: Readonly<Record<string, string | Uint8Array>>,
  body: (dir: string) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "adalora-text-"));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
    return await body(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
