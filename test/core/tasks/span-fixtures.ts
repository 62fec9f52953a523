import type { SquadSet } from "../../../core/data/squad.ts";
import { defaultSettings } from "../../../core/train/config.ts";
import type { TaskWishes } from "../../../core/train/task-named.ts";
import type { TokenizeOptions } from "../../../core/train/task.ts";
import { debertaTokenizer } from "../../../core/text/deberta-tokenizer.ts";
import { readTokenizer } from "../../../core/text/load-tokenizer.ts";
import { examples } from "../qa/fixtures.ts";
import { tinyDir } from "../text/fixtures.ts";

/** The nine questions that the reference was asked, as a split. */
export const questions: SquadSet = { examples, isLabelled: true, warnings: [] };

/** The tiny tokenizer, as a model's folder gives it. */
export const tokenizeOptions = (maxLength: number): TokenizeOptions => ({
  tokenizer: readTokenizer(tinyDir, debertaTokenizer),
  maxLength,
  vocabSize: 512,
  modelConfig: "config.json",
  rawConfig: {},
  maxPositions: 512,
});

/** The settings of a run that says nothing of them. */
export function wishesOf(wishes: Partial<TaskWishes> = {}): TaskWishes {
  return { ...defaultSettings(), ...wishes };
}
