import { existsSync } from "node:fs";
import type { DataSplit } from "../core/data/examples.ts";
import type { SplitRole } from "../core/data/glue-tasks.ts";
import { formatOf } from "../core/data/open-table.ts";
import { decodeText } from "../core/data/text-file.ts";
import { errors } from "../core/errors.ts";
import { readRegular, statOf } from "../core/io/regular-file.ts";
import type { Sources } from "../core/model/model-files.ts";
import type { TrainedModel } from "../core/run/open-trained.ts";
import type { Report } from "./report.ts";
import { splitsFor } from "./trained-data.ts";

/** The input of a prediction: rows of a file or of a data set, or words of the command line. */
export interface InputOptions {
  readonly words: readonly string[];
  /** The context of questions among the words: a file, - or the text. */
  readonly context: string | null;
  /** A file, or - for standard input. */
  readonly input: string | null;
  readonly data: string | null;
  readonly split: SplitRole;
  readonly isSplitGiven: boolean;
  /** Input columns to carry through, or "all" alone; null: none. */
  readonly keepColumns: readonly string[] | null;
}

/**
 * Throws E_CONFIG for two inputs, for a context without a question, and for --split of an input
 * that has no splits.
 */
export function checkInput({ words, context, input, data, isSplitGiven }: InputOptions): void {
  const given = [
    ...(words.length > 0 ? ["a text as an argument"] : context === null ? [] : ["--context"]),
    ...(input === null ? [] : ["--input"]),
    ...(data === null ? [] : ["--data"]),
  ];
  const [first, second] = given;
  if (first !== undefined && second !== undefined) throw errors.alternatives(first, second);
  if (words.length === 0 && context !== null) {
    throw errors.missing("question", 'beside --context it is an argument: "Who walked?"');
  }
  if (!isSplitGiven || first === undefined || first === "--data") return;
  throw errors.unusable("--split", `a prediction of ${first}`, "it names a part of --data");
}

/**
 * The splits to predict, with the columns that they keep; by default the test set of the model's run. Throws E_FILE where there is
 * none.
 */
export async function inputSplits(
  options: InputOptions,
  trained: TrainedModel,
  sources: Sources,
  report: Report,
): Promise<readonly DataSplit[]> {
  const splits = await chosenSplits(options, trained, sources, report);
  const keep = options.keepColumns ?? undefined;
  return splits.map((split) => ({ ...split, keep: keep?.join() === "all" ? "all" : keep }));
}

// --- internal ---

async function chosenSplits(
  options: InputOptions,
  trained: TrainedModel,
  sources: Sources,
  report: Report,
): Promise<readonly DataSplit[]> {
  const { words, context, input } = options;
  const { task } = trained;
  if (words.length > 0) {
    for (const word of words.filter(isDataFile)) {
      report.warn(`"${word}" is read as a text; --input ${word} predicts the rows of the file`);
    }
    const typed = await typedTexts(words, context);
    checkTexts(typed.words, trained);
    return [task.fromWords(typed.words, typed.context)];
  }
  if (input === "-") {
    const source = { name: "standard input", bytes: await Bun.stdin.bytes() };
    return [{ name: "input", role: "test", files: [source] }];
  }
  if (input !== null) {
    return [{ name: task.splitNameOf(input) ?? "input", role: "test", files: [input] }];
  }
  return splitsFor(options, trained, sources);
}

const isDataFile = (word: string) => formatOf(word) !== undefined && existsSync(word);

/** Throws E_CONFIG for a pair of texts where the model reads single ones, or vice versa. */
function checkTexts(words: readonly string[], { task, textsPerRow }: TrainedModel): void {
  if (textsPerRow === 1 && words.length > 1) {
    const hint = "--input FILE, or - for standard input, predicts the texts of many rows";
    throw errors.unusable("a second text", "a model that was trained on single texts", hint);
  }
  if (textsPerRow !== 2 || words.length > 1) return;
  throw errors.missing("second text", `${task.name} takes a pair of texts: pass both as arguments`);
}

/** The texts that words stand for. `-` reads all of standard input, so it may appear once. */
async function typedTexts(words: readonly string[], context: string | null) {
  if ([...words, context].filter((word) => word === "-").length > 1) {
    throw errors.alternatives("- as one text", "- as another");
  }
  const typed: string[] = [];
  for (const word of words) typed.push(word === "-" ? await standardInput() : word);
  return { words: typed, context: context === null ? undefined : await contextText(context) };
}

async function standardInput(): Promise<string> {
  return withoutLineEnd(decodeText(await Bun.stdin.bytes(), "standard input"));
}

async function contextText(given: string): Promise<string> {
  if (given === "-") return standardInput();
  // existsSync is false for a text too long to be a path; statSync would throw.
  const isFile = existsSync(given) && statOf(given)?.isFile() === true;
  if (isFile) return withoutLineEnd(decodeText(readRegular(given), given));
  // A single ASCII word must be a mistyped path: languages without spaces use other letters.
  if (!/^[\x21-\x7e]+$/.test(given)) return given;
  throw errors.file(given, "there is no such file", "--context is a file, or the text itself");
}

const withoutLineEnd = (text: string) => text.replace(/\r?\n$/, "");
