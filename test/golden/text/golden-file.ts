import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { debertaTokenizer } from "../../../core/text/families/deberta.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import type { TokenizerFamily } from "../../../core/text/tokenizer-family.ts";
import type { Tokenizer } from "../../../core/text/tokenizer.ts";
import type { GoldenFolder } from "./verdict.ts";

/**
 * The text of a .json file, or of a .jsonl file as one JSON array. The format is the goldens' contract: callers parse
 * it into the type that the file has, unchecked.
 */
export function goldenText({ dir }: GoldenFolder, file: string): string {
  const text = readFileSync(join(dir, file), "utf8");
  if (!file.endsWith(".jsonl")) return text;
  const lines = text.split("\n").filter((line) => line !== "");
  return `[${lines.join(",")}]`;
}

/** A tokenizer that the goldens were made with. */
export interface GoldenTokenizer {
  readonly family: TokenizerFamily;
  /** Its folder inside `shared`. */
  readonly dir: string;
}

const tokenizers: Readonly<Record<"deberta" | "bart", GoldenTokenizer>> = {
  deberta: { family: debertaTokenizer, dir: "tokenizers/deberta-v3" },
  bart: { family: bartTokenizer, dir: "tokenizers/roberta-bart" },
};

/** A family that golden tokens exist for. */
export type GoldenFamily = keyof typeof tokenizers;

/** The family's declaration and the folder with its vocabulary. Throws when the folder isn't there. */
export function goldenTokenizer(folder: GoldenFolder, name: GoldenFamily): GoldenTokenizer {
  const { family, dir } = tokenizers[name];
  const path = join(folder.shared, dir);
  if (!existsSync(path)) throw new Error(`${path} does not exist: name its parent with --shared`);
  return { family, dir: path };
}

const loaded = new Map<string, Promise<Tokenizer>>();

/** The family's tokenizer, loaded once. */
export function tokenizerOf(folder: GoldenFolder, name: GoldenFamily): Promise<Tokenizer> {
  const { family, dir } = goldenTokenizer(folder, name);
  const known = loaded.get(dir) ?? loadTokenizer(dir, family);
  loaded.set(dir, known);
  return known;
}
