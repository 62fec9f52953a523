import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { generate } from "../../core/generation/generate.ts";
import { generationOptions } from "../../core/generation/options.ts";
import { type GenerationModel, isGenerationModel, type Model } from "../../core/model/plugin.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase, packGolden, tensorOf } from "../../core/model/golden-case.ts";
import { type Tolerance, loadModel } from "./golden-case.ts";
import { rescore } from "./rescore.ts";

/** What transformers generated with one set of parameters. */
export interface GenerationRun {
  readonly params: Readonly<Record<string, unknown>> & { readonly pad_token_id: number };
  /** [sources * num_return_sequences], padded to one length. */
  readonly sequences: readonly (readonly number[])[];
  readonly scores?: readonly number[];
}

/**
 * A generating model, and the same on the reference backend where outputs may differ: see
 * `compareTexts`.
 */
export interface Generator {
  readonly backend: Backend;
  readonly model: GenerationModel;
  readonly exact: () => GenerationModel;
}

/** Every run of a case: each text, token by token, and its score. */
export async function checkGeneration(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
): Promise<CaseResult> {
  const comparison = new Comparison(tolerance);
  const head = { task: "generation", labels: 0 } as const;
  const on = (place: Backend) => generating(loadModel(place, golden.dir, { head }).model);
  const generator = { backend, model: on(backend), exact: () => on(createReferenceBackend()) };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the case's kind says
  for (const run of golden.golden["runs"] as GenerationRun[])
    await compareTexts(generator, sourcesOf(golden, "input"), run, tolerance, comparison);
  return comparison.result;
}

/** Narrows a model of any family to one that generates. */
export function generating(model: Model): GenerationModel {
  if (isGenerationModel(model)) return model;
  throw new Error("the case's model does not generate");
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

/**
 * Generates from `sources` with a run's parameters alone. Where rounding may decide between
 * hypotheses of equal score (`trajectory` is off), another one passes if the exact model gives it
 * the golden's score within the tolerance.
 */
export async function compareTexts(
  { backend, model, exact }: Generator,
  sources: readonly ArrayLike<number>[],
  { params, sequences, scores }: GenerationRun,
  tolerance: Tolerance,
  comparison: Comparison,
): Promise<void> {
  const options = generationOptions({}, params);
  const scorer = tolerance.trajectory ? undefined : exact();
  const generated = await generate(backend, model, sources, options);
  const each = options.numReturnSequences;
  comparison.same(
    "texts",
    generated.flatMap(({ alternatives }) => [0, ...alternatives]).length,
    sequences.length,
  );
  generated.forEach((best, source) => {
    [best, ...best.alternatives].forEach(({ ids, score }, rank) => {
      const place = source * each + rank;
      const expected = sequences[place] ?? [];
      const what = `text ${place} of ${JSON.stringify(params)}`;
      const padded = [...ids, ...expected.slice(ids.length).fill(params.pad_token_id)];
      const close = (quantity: string, got: number, want: number) =>
        comparison.close(quantity, [got], [want], tolerance.scores, `${quantity} of ${what}`);
      if (scores) close("scores", score, scores[place] ?? Number.NaN);
      if (!scorer) return comparison.same("tokens", padded, expected, what);
      const of = (text: readonly number[]) => rescore(scorer, sources[source]!, text, options);
      close("exact_scores", of(ids), of(withoutPadding(expected, params.pad_token_id)));
    });
  });
}

const withoutPadding = (text: readonly number[], pad: number) =>
  text.slice(0, text.findLastIndex((id) => id !== pad) + 1);
