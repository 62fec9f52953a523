import type { Backend } from "../../core/backend.ts";
import { attentionCases } from "./attention-cases.ts";
import type { Bench } from "./bench.ts";
import { elementwiseCases } from "./elementwise-cases.ts";
import { gatedActivationCases } from "./gated-activation-cases.ts";
import { layerNormCases } from "./layer-norm-cases.ts";
import { linearsCases } from "./linears-cases.ts";
import { matrixCases } from "./matrix-cases.ts";
import { memoryCases } from "./memory-cases.ts";
import { multiHeadCases } from "./multi-head-cases.ts";
import { rmsNormCases } from "./rms-norm-cases.ts";
import { rotaryCases } from "./rotary-cases.ts";
import { rowCases } from "./row-cases.ts";
import { trainingCases } from "./training-cases.ts";
import { vocabularyLossCases } from "./vocabulary-loss-cases.ts";
import { decodingCases } from "./writing-cases.ts";

/** One call of one backend entry, on buffers that `bench` creates and checks. */
export interface Case {
  readonly name: string;
  readonly entry: keyof Backend;
  readonly run: (bench: Bench) => void;
}

/** Cases for every backend entry, at sizes where kernels take different code paths. */
export const cases: readonly Case[] = [
  ...memoryCases,
  ...matrixCases,
  ...linearsCases,
  ...rowCases,
  ...elementwiseCases,
  ...layerNormCases,
  ...rmsNormCases,
  ...gatedActivationCases,
  ...rotaryCases,
  ...attentionCases,
  ...multiHeadCases,
  ...trainingCases,
  ...vocabularyLossCases,
  ...decodingCases,
];
