import type { TemplatePart } from "./template.ts";
import type { TokenIds, TokenWindow } from "./tokenizer.ts";
import { specialCount } from "./template.ts";

/** The tokens `[start, end)` of a text that an input keeps. */
export type Range = readonly [start: number, end: number];

/** Fills a template with the kept tokens of each text and the special tokens. */
export function assemble(
  template: readonly TemplatePart[],
  tokens: readonly (readonly number[])[],
  kept: readonly Range[],
): TokenIds {
  let length = specialCount(template);
  for (const [start, end] of kept) length += end - start;
  const ids = new Int32Array(length);
  const typeIds = new Int32Array(length);
  let at = 0;
  for (const part of template) {
    const before = at;
    if ("special" in part) ids[at++] = part.special;
    else {
      const [start, end] = kept[part.text] ?? [0, 0];
      const text = tokens[part.text] ?? [];
      for (let i = start; i < end; i++) ids[at++] = text[i]!;
    }
    typeIds.fill(part.typeId, before, at);
  }
  return { ids, typeIds };
}

/**
 * The text position and text index of each token of an assembled input; `offsets` are those of the
 * texts.
 */
export function align(
  template: readonly TemplatePart[],
  offsets: readonly (readonly (readonly number[])[])[],
  kept: readonly Range[],
): Pick<TokenWindow, "offsets" | "sequences"> {
  const tokenOffsets: [number, number][] = [];
  const sequences: (0 | 1 | null)[] = [];
  for (const part of template) {
    if ("special" in part) {
      tokenOffsets.push([0, 0]);
      sequences.push(null);
      continue;
    }
    const [start, end] = kept[part.text] ?? [0, 0];
    for (const [from = 0, to = 0] of (offsets[part.text] ?? []).slice(start, end)) {
      tokenOffsets.push([from, to]);
      sequences.push(part.text);
    }
  }
  return { offsets: tokenOffsets, sequences };
}
