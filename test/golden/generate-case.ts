import type { Backend } from "../../core/backend.ts";
import { generate } from "../../core/generation/generate.ts";
import { generationOptions } from "../../core/generation/options.ts";
import type { Hypothesis } from "../../core/generation/search.ts";
import { type GenerationModel, isGenerationModel } from "../../core/plugin.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase, type Tolerance, loadModel, packGolden, tensorOf } from "./golden-case.ts";

/** What transformers wrote with one set of parameters. */
export interface GenerationRun {
  readonly params: Readonly<Record<string, unknown>> & { readonly pad_token_id: number };
  /** [sources * num_return_sequences], filled up with padding to one length. */
  readonly sequences: readonly (readonly number[])[];
  readonly scores?: readonly number[];
}

/** Every run of a case: each text, token by token, and its score. */
export async function checkGeneration(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
): Promise<CaseResult> {
  const comparison = new Comparison(tolerance);
  const head = { task: "generation", labels: 0 } as const;
  const { model } = loadModel(backend, golden.dir, { head });
  if (!isGenerationModel(model)) throw new Error(`${golden.dir}: the model does not write`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the case's kind says
  for (const run of golden.golden["runs"] as GenerationRun[])
    await compareTexts(backend, model, sourcesOf(golden, "input"), run, tolerance, comparison);
  return comparison.result;
}

/** The rows of `<prefix>.input_ids` without their padding. */
export function sourcesOf(golden: GoldenCase, prefix: string): readonly Int32Array[] {
  const ids = tensorOf(golden, `${prefix}.input_ids`);
  const batch = packGolden(ids, tensorOf(golden, `${prefix}.attention_mask`), undefined);
  return Array.from(batch.offsets.subarray(1), (end, b) => {
    const from = batch.offsets[b]!;
    const holes = batch.positions.subarray(from, end).some((position, i) => position !== i);
    if (holes) throw new Error(`${golden.dir}: a source with holes`);
    return batch.ids.slice(from, end);
  });
}

/** `sources` written about with a run's parameters and no others. */
export async function compareTexts(
  backend: Backend,
  model: GenerationModel,
  sources: readonly ArrayLike<number>[],
  { params, sequences, scores }: GenerationRun,
  tolerance: Tolerance,
  comparison: Comparison,
): Promise<void> {
  const options = generationOptions({}, params);
  const written = await generate(backend, model, sources, options);
  const texts = written.flatMap((best): Hypothesis[] => [best, ...best.others]);
  const what = JSON.stringify(params);
  texts.forEach(({ ids, score }, i) => {
    const due = sequences[i] ?? [];
    const padded = [...ids, ...due.slice(ids.length).fill(params.pad_token_id)];
    comparison.same("tokens", padded, due, `text ${i} of ${what}`);
    if (!scores) return;
    comparison.close("scores", [score], [scores[i]!], tolerance.scores, `score ${i} of ${what}`);
  });
  comparison.same("texts", texts.length, sequences.length, `texts of ${what}`);
}
