import type { SquadSet } from "../../../core/data/squad.ts";
import { defaultSettings } from "../../../core/config/run-config.ts";
import type { TaskOptions } from "../../../core/tasks/task-options.ts";
import { debertaTokenizer } from "../../../core/text/families/deberta.ts";
import { readTokenizer } from "../../../core/text/load-tokenizer.ts";
import { examples } from "../qa/fixtures.ts";
import { tinyDir } from "../text/fixtures.ts";
import type { TokenizeOptions } from "../../../core/model/model-files.ts";

/** The nine questions of the reference outputs, as a split. */
export const questions: SquadSet = { examples, isLabelled: true, warnings: [] };

/** The tiny tokenizer, as read from a model's folder. */
export const tokenizeOptions = (maxLength: number): TokenizeOptions => ({
  tokenizer: readTokenizer(tinyDir, debertaTokenizer),
  maxLength,
  vocabSize: 512,
  modelConfig: "config.json",
  rawConfig: {},
  maxPositions: 512,
});

/** Default settings with overrides. */
export function optionsOf(overrides: Partial<TaskOptions> = {}): TaskOptions {
  return { ...defaultSettings(), ...overrides };
}
