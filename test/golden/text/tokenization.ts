import { AdaloraError } from "../../../core/errors.ts";
import type {
  EncodeOptions,
  TextInput,
  Tokenizer,
  TokenWindow,
} from "../../../core/text/tokenizer.ts";
import { type GoldenFamily, goldenText, tokenizerOf } from "./golden-file.ts";
import { Findings, type FileCheck } from "./verdict.ts";

/** A feature as transformers returns it. */
interface Feature {
  readonly input_ids: readonly number[];
  readonly token_type_ids: readonly number[];
  readonly attention_mask: readonly number[];
  readonly special_tokens_mask: readonly number[];
  readonly tokens: readonly string[];
  readonly offsets: readonly (readonly number[])[];
  readonly sequence_ids?: readonly (number | null)[];
}

type Output =
  | Feature
  | {
      readonly features: readonly Feature[];
      readonly overflow_to_sample_mapping: readonly number[];
    }
  | { readonly error: string };

/** transformers' names. */
interface Options {
  readonly truncation?: boolean | "longest_first" | "only_first" | "only_second";
  readonly max_length?: number;
  readonly stride?: number;
  readonly padding?: boolean | "max_length";
  readonly pad_to_multiple_of?: number;
  readonly add_special_tokens?: boolean;
}

interface TokenizationRecord {
  readonly id: string;
  readonly kind: "text" | "pair" | "truncation" | "padding" | "window";
  readonly text: string;
  readonly pair: string | null;
  readonly opts: Options;
  readonly out: Output;
}

/** Where another conversion's output differs: a line of the main file. */
interface OtherRecord {
  readonly line: number;
  readonly id: string;
}

/** `tok-*.jsonl`: ids, segments, masks, tokens and offsets of texts, pairs, cut and padded inputs and windows. */
export const checkTokenization: (family: GoldenFamily) => FileCheck =
  (family) => async (folder, file) => {
    const tokenizer = await tokenizerOf(folder, family);
    const findings = new Findings();
    const records: readonly TokenizationRecord[] = JSON.parse(goldenText(folder, file));
    for (const record of records) await compare(tokenizer, record, findings);
    return findings.verdict(records.length);
  };

/** `tok-*-diff.jsonl`: other conversions' outputs. Ours must be the main file's on exactly those lines. */
export const checkTokenizationDiff: (family: GoldenFamily, main: string) => FileCheck =
  (family, main) => async (folder, file) => {
    const tokenizer = await tokenizerOf(folder, family);
    const findings = new Findings();
    const records: readonly TokenizationRecord[] = JSON.parse(goldenText(folder, main));
    const others: readonly OtherRecord[] = JSON.parse(goldenText(folder, file));
    for (const { line, id } of others) {
      const record = records[line];
      findings.equal("id", `line ${line} of ${main}`, record?.id, id);
      if (record !== undefined) await compare(tokenizer, record, findings);
    }
    return findings.verdictOfDifferences(others.length);
  };

async function compare(tokenizer: Tokenizer, record: TokenizationRecord, findings: Findings) {
  const { id, out } = record;
  const got = await features(tokenizer, record);
  if ("error" in out) {
    // their words and ours differ: what must agree is that there is an error, and which rule it names
    const rule = /stride/i.test(out.error) ? /stride/ : /too short/;
    const isSame = got instanceof AdaloraError && rule.test(got.message);
    findings.equal("error", id, isSame, true);
    return;
  }
  if (got instanceof AdaloraError) return findings.complain(`${id}: ${got.message}`);
  const want = "features" in out ? out.features : [out];
  findings.equal("features", id, got.length, want.length);
  if ("features" in out) {
    findings.equal(
      "overflow_to_sample_mapping",
      id,
      got.map(() => 0),
      out.overflow_to_sample_mapping,
    );
  }
  for (const [i, feature] of want.entries()) {
    const ours: Readonly<Record<string, unknown>> = { ...got[i] };
    for (const [field, value] of Object.entries(feature)) {
      findings.equal(
        field,
        `${id} ${JSON.stringify(record.text.slice(0, 40))}`,
        ours[field],
        value,
      );
    }
  }
}

async function features(
  tokenizer: Tokenizer,
  { text, pair, opts }: TokenizationRecord,
): Promise<Feature[] | AdaloraError> {
  const input: TextInput = pair === null ? { text } : { text, pair };
  const options = optionsOf(opts);
  try {
    const windows = await tokenizer.windows(input, options);
    if (opts.stride === undefined) {
      // encode is what training uses; it has to agree with the window that has offsets
      const [encoded] = await tokenizer.encode([input], options);
      const [window] = windows;
      if (!Bun.deepEquals([encoded?.ids, encoded?.typeIds], [window?.ids, window?.typeIds])) {
        throw new Error(`encode and windows disagree on ${JSON.stringify(input)}`);
      }
    }
    return windows.map((window) => featureOf(tokenizer, window, opts, pair !== null));
  } catch (error) {
    if (error instanceof AdaloraError) return error;
    throw error;
  }
}

function optionsOf(opts: Options): EncodeOptions & { readonly stride?: number } {
  const { truncation, max_length: maxLength, stride, add_special_tokens: addSpecialTokens } = opts;
  const isCut = truncation !== undefined && truncation !== false;
  return {
    ...(isCut && maxLength !== undefined ? { maxLength } : {}),
    ...(stride === undefined ? {} : { stride }),
    ...(addSpecialTokens === undefined ? {} : { addSpecialTokens }),
    truncation:
      truncation === "only_first" ? "first" : truncation === "only_second" ? "second" : "longest",
  };
}

/** The program packs inputs and never pads: padding is done here, with the tokenizer's pad id. */
function featureOf(
  tokenizer: Tokenizer,
  window: TokenWindow,
  opts: Options,
  isPair: boolean,
): Feature {
  const { pad } = tokenizer.specialIds;
  const ids = Array.from(window.ids);
  const padding = Array.from({ length: Math.max(0, paddedLength(ids.length, opts) - ids.length) });
  const padded = [...ids, ...padding.map(() => pad)];
  const zeros = padding.map(() => 0);
  return {
    input_ids: padded,
    token_type_ids: [...window.typeIds, ...zeros],
    attention_mask: [...ids.map(() => 1), ...zeros],
    special_tokens_mask: [
      ...window.sequences.map((s) => (s === null ? 1 : 0)),
      ...padding.map(() => 1),
    ],
    tokens: padded.map((id) => tokenizer.tokenOf(id) ?? ""),
    offsets: [...window.offsets, ...padding.map(() => [0, 0])],
    ...(isPair ? { sequence_ids: [...window.sequences, ...padding.map(() => null)] } : {}),
  };
}

function paddedLength(length: number, opts: Options): number {
  const { padding, max_length: maxLength = 0, pad_to_multiple_of: multiple = 1 } = opts;
  if (padding === undefined || padding === false) return length;
  return Math.ceil((padding === "max_length" ? maxLength : length) / multiple) * multiple;
}
