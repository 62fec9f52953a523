import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { buildTokenizer, checkVocabulary, readTokenizer } from "../../core/text/load-tokenizer.ts";
import type { TokenIds, Tokenizer } from "../../core/text/tokenizer.ts";
import { findings, listed, type PluginSource, type PluginFinding, thrown } from "./finding.ts";
import type { CheckedFolder } from "./open-folder.ts";

const { ok, fail, skip } = findings("tokenizer");

/** What a sentence and a pair of them should survive. */
const sample = { text: "The model reads a sentence.", pair: "And another one." };

/** Opens the folder's tokenizer with the plugin's family and reads a text. */
export async function checkTokenizer(
  { tokenizer: family, tasks }: ModelPlugin,
  { dir, limits, rawConfig }: CheckedFolder,
  file: PluginSource,
): Promise<PluginFinding> {
  const files = readdirSync(dir).filter((name) => /vocab|merges|tokenizer|spm|spiece/.test(name));
  const required = ["tokenizer.json", ...(family.convert?.files ?? [])];
  if (files.length === 0)
    return skip(`the folder holds no tokenizer: looked for ${listed(required)}`);
  try {
    const tokenizer = await buildTokenizer(readTokenizer(dir, family));
    checkVocabulary(tokenizer, limits.vocabSize, join(dir, "config.json"));
    const pairs = tasks.some((task) => task !== "generation") ? [sample] : [];
    const encoded = await tokenizer.encode([{ text: sample.text }, ...pairs]);
    return textFindings(tokenizer, encoded, Number(rawConfig["type_vocab_size"] ?? 0));
  } catch (error) {
    if (error instanceof AdaloraError) return fail(error.message, hintOf(error, dir));
    return thrown("tokenizer", error, file);
  }
}

// --- internal ---

function hintOf({ hint }: AdaloraError, dir: string): string | undefined {
  if (existsSync(join(dir, "tokenizer.json"))) return hint;
  return "tokenizer.convert.files must name the vocabulary files that the family's checkpoints have";
}

function textFindings(tokenizer: Tokenizer, encoded: readonly TokenIds[], segments: number) {
  const { specialIds, vocabSize } = tokenizer;
  const [single] = encoded;
  const words = Array.from(single?.ids ?? []).filter(
    (id) => id !== specialIds.cls && id !== specialIds.sep,
  );
  if (words.every((id) => id === specialIds.unk)) {
    const unknown = tokenizer.tokenOf(specialIds.unk) ?? "";
    const hint = "tokenizer.convert must build the checkpoint's own normalizer and vocabulary";
    return fail(`every token of a plain sentence is unknown (${unknown})`, hint);
  }
  const highest = Math.max(0, ...encoded.flatMap(({ typeIds }) => Array.from(typeIds)));
  if (segments > 0 && highest >= segments) {
    const hint = `the post-processor must give segments below type_vocab_size, ${segments}`;
    return fail(`a pair's second text has segment ${highest}`, hint);
  }
  const special = Object.entries(specialIds).map(([name, id]) => `${name} ${id}`);
  return ok(`${vocabSize} tokens; ${special.join(", ")}`);
}
