import type { Backend } from "../../core/backend.ts";
import { attentionCases } from "./attention-cases.ts";
import type { Bench } from "./bench.ts";
import { elementwiseCases } from "./elementwise-cases.ts";
import { layerNormCases } from "./layer-norm-cases.ts";
import { matrixCases } from "./matrix-cases.ts";
import { memoryCases } from "./memory-cases.ts";
import { multiHeadCases } from "./multi-head-cases.ts";
import { rowCases } from "./row-cases.ts";
import { trainingCases } from "./training-cases.ts";
import { vocabularyLossCases } from "./vocabulary-loss-cases.ts";
import { decodingCases } from "./writing-cases.ts";

/** One use of one entry of a backend, on buffers that `bench` makes and judges. */
export interface Case {
  readonly name: string;
  readonly entry: keyof Backend;
  readonly run: (bench: Bench) => void;
}

/** Every entry of a backend, at sizes where kernels change their ways. */
export const cases: readonly Case[] = [
  ...memoryCases,
  ...matrixCases,
  ...rowCases,
  ...elementwiseCases,
  ...layerNormCases,
  ...attentionCases,
  ...multiHeadCases,
  ...trainingCases,
  ...vocabularyLossCases,
  ...decodingCases,
];
