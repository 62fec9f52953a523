import type { AdaloraError } from "../errors.ts";
import type { ModelFiles } from "../model/model-files.ts";
import type { PredictionSet, SplitText, TrainingSet } from "../tasks/task.ts";
import { isLibraryMissing } from "../text/native-tokenizer.ts";
import { attemptWith, type OnProblem } from "./attempt.ts";
import type { ReadData } from "./read-data.ts";

/** Callbacks while a run is prepared. */
export interface PrepareCallbacks {
  readonly onProblem: OnProblem;
  /** Gets the name of each stage. */
  readonly onStage: (text: string) => void;
}

/** A run's tokenized splits; what failed is missing. */
export interface Datasets {
  readonly train: TrainingSet | undefined;
  readonly validation: readonly PredictionSet[];
  /** Why the texts could not be tokenized: all are taken for texts of the maximum length. */
  readonly untokenized?: AdaloraError | undefined;
}

/** As tokenizeAll; without the tokenizer library it takes all texts for the longest possible ones. */
export async function tokenizeOrAssume(
  data: ReadData,
  files: ModelFiles,
  { onProblem, onStage }: PrepareCallbacks,
): Promise<Datasets> {
  const problems: AdaloraError[] = [];
  const found = await tokenizeAll(data, files, {
    onProblem: (problem) => void problems.push(problem),
    onStage,
  });
  const untokenized = problems.find(isLibraryMissing);
  if (untokenized === undefined) {
    problems.forEach(onProblem);
    return found;
  }
  const assumed = { ...files, tokenize: { ...files.tokenize, untokenized: true } };
  return { ...(await tokenizeAll(data, assumed, { onProblem, onStage })), untokenized };
}

/** Tokenizes the training and validation splits; a split that fails is a problem. */
export async function tokenizeAll(
  { train, validation }: ReadData,
  files: ModelFiles,
  { onProblem, onStage }: PrepareCallbacks,
): Promise<Datasets> {
  const attempt = attemptWith(onProblem);
  const announce = ({ name, featureCount }: SplitText) => {
    const count =
      featureCount === undefined ? "" : `, ${featureCount.toLocaleString("en-US")} rows`;
    onStage(`tokenizing ${name}${count}`);
  };
  if (train) announce(train);
  const trainingSet = train && (await attempt(() => train.forTraining(files.tokenize)));
  const predictionSets: PredictionSet[] = [];
  for (const split of validation) {
    announce(split);
    const set = await attempt(() => split.forPrediction(files.tokenize));
    if (set) predictionSets.push(set);
  }
  return { train: trainingSet, validation: predictionSets };
}
