import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeFromJson } from "../../../core/text/native-tokenizer.ts";
import { readTokenizer } from "../../../core/text/load-tokenizer.ts";
import type { TokenizerJson } from "../../../core/text/tokenizer-json.ts";
import { type GoldenFamily, goldenTokenizer, goldenText, tokenizerOf } from "./golden-file.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

/** The tokenizer.json that we build from the family's vocabulary files. */
function builtJson(folder: GoldenFolder, name: GoldenFamily): TokenizerJson {
  const { family, dir } = goldenTokenizer(folder, name);
  const { files, config } = readTokenizer(dir, family);
  if (family.convert === undefined) throw new Error(`${name} converts nothing`);
  return family.convert.build(files, config);
}

/** What the library itself writes of the tokenizer it was given: the proof that it got all of it. */
async function savedText(json: TokenizerJson, name: string): Promise<string> {
  const { native } = await nativeFromJson(json, name);
  const path = join(tmpdir(), `adalora-${process.pid}-${name}.json`);
  native.save(path, true);
  const text = readFileSync(path, "utf8");
  await Bun.file(path).delete();
  return text;
}

/** `deberta-v3.tokenizer.json`: what transformers writes for spm.model; ours, and what the library holds, are the same. */
export const checkTokenizerJson: FileCheck = async (folder, file) => {
  const findings = new Findings();
  const want: TokenizerJson = JSON.parse(goldenText(folder, file));
  const built = builtJson(folder, "deberta");
  const saved: TokenizerJson = JSON.parse(await savedText(built, "deberta"));
  for (const [source, json] of Object.entries({ built, saved })) {
    const got: Readonly<Record<string, unknown>> = { ...json };
    const wanted: Readonly<Record<string, unknown>> = { ...want };
    for (const key of new Set([...Object.keys(wanted), ...Object.keys(got)])) {
      findings.equal(`${source} ${key}`, file, got[key], wanted[key]);
    }
  }
  return findings.verdict(1);
};

/** A family's tokenizer.json without its vocabulary. */
interface Blocks extends Omit<TokenizerJson, "model"> {
  readonly model: Readonly<Record<string, unknown>>;
  readonly tokenizer_json: { readonly bytes: number; readonly sha256: string };
  readonly properties: {
    readonly len: number;
    readonly vocab_size: number;
    readonly special_tokens: Readonly<Record<string, readonly [string, number]>>;
  };
  readonly vocab: { readonly at?: object } & Readonly<Record<string, unknown>>;
}

/** `tokenizer-blocks.json`: the steps around the model, a summary of the vocabulary, and the whole file's hash. */
export const checkBlocks: FileCheck = async (folder, file) => {
  const findings = new Findings();
  const golden: Readonly<Record<string, Blocks | boolean>> = JSON.parse(goldenText(folder, file));
  let checked = 0;
  for (const name of ["deberta", "bart"] as const) {
    const want = golden[`${name}-hf4`];
    if (typeof want !== "object") continue;
    await compareBlocks(folder, name, want, findings);
    checked++;
  }
  return findings.verdict(checked, "hf4 blocks; the hf5 ones are another conversion");
};

async function compareBlocks(
  folder: GoldenFolder,
  name: GoldenFamily,
  want: Blocks,
  findings: Findings,
): Promise<void> {
  const built = builtJson(folder, name);
  const { model, ...rest } = built;
  const { vocab, ...modelRest } = model;
  const { merges, ...settings } = { merges: undefined, ...modelRest };
  const got: Record<string, unknown> = {
    ...rest,
    normalizer: withoutCharsmap(rest.normalizer),
    model: settings,
  };
  const wanted: Readonly<Record<string, unknown>> = { ...want };
  for (const [key, value] of Object.entries(got)) findings.equal(key, name, value, wanted[key]);
  const summary = Array.isArray(vocab)
    ? unigramSummary(vocab, want.vocab)
    : bpeSummary(vocab, merges ?? []);
  for (const [key, value] of Object.entries(summary))
    findings.equal(`vocab ${key}`, name, value, want.vocab[key]);

  const tokenizer = await tokenizerOf(folder, name);
  const { properties } = want;
  findings.equal("len", name, tokenizer.vocabSize, properties.len);
  const special = Object.entries(properties.special_tokens);
  for (const [role, [token, id]] of special) {
    findings.equal("special token", `${name} ${role}`, tokenizer.tokenOf(id), token);
    const key = role.replace("_token", "");
    const ids: Readonly<Record<string, number>> = tokenizer.specialIds;
    if (key in ids) findings.equal("special id", `${name} ${role}`, ids[key], id);
  }
  const text = await savedText(built, name);
  findings.equal("sha256", name, sha256(text), want.tokenizer_json.sha256);
}

const sha256 = (data: string | Uint8Array) =>
  new Bun.CryptoHasher("sha256").update(data).digest("hex");

/** With the character map as the goldens shorten it. */
function withoutCharsmap(normalizer: object | null): unknown {
  const shorten = (key: string, value: unknown) => {
    if (key !== "precompiled_charsmap" || typeof value !== "string") return value;
    const bytes = Buffer.from(value, "base64");
    return `base64 of ${bytes.length} bytes, sha256 ${sha256(bytes)} (= normalizer_spec.precompiled_charsmap of spm.model)`;
  };
  return JSON.parse(JSON.stringify(normalizer, shorten));
}

function unigramSummary(vocab: readonly [string, number][], want: Blocks["vocab"]) {
  const at = Object.keys(want.at ?? {});
  return {
    count: vocab.length,
    first: vocab.slice(0, 12),
    last: vocab.slice(-4),
    at: Object.fromEntries(at.map((id) => [id, vocab[Number(id)]])),
    sha256_of_pieces: sha256(vocab.map(([piece]) => piece).join("\n")),
    sum_of_scores: vocab.reduce((sum, [, score]) => sum + score, 0),
  };
}

function bpeSummary(vocab: object, merges: readonly (readonly [string, string])[]) {
  return {
    count: Object.keys(vocab).length,
    merges: merges.length,
    first_merges: merges.slice(0, 3),
    sha256_of_merges: sha256(merges.map((merge) => merge.join(" ")).join("\n")),
  };
}
