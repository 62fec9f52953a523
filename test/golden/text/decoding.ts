import type { Tokenizer } from "../../../core/text/tokenizer.ts";
import { type GoldenFamily, goldenText, tokenizerOf } from "./golden-file.ts";
import { Findings, type FileCheck } from "./verdict.ts";

interface DecodingRecord {
  readonly id: string;
  readonly ids: readonly number[];
  readonly skip_special_tokens: boolean;
  /** null: the default. */
  readonly clean_up_tokenization_spaces: boolean | null;
  readonly text: string;
}

/** Where another conversion's text differs: a line of the main file. */
interface OtherRecord {
  readonly line: number;
  readonly id: string;
}

/** `decode-*.jsonl`: ids back to text. */
export const checkDecoding: (family: GoldenFamily) => FileCheck =
  (family) => async (folder, file) => {
    const tokenizer = await tokenizerOf(folder, family);
    const findings = new Findings();
    const records: readonly DecodingRecord[] = JSON.parse(goldenText(folder, file));
    for (const record of records) await compare(tokenizer, record, findings);
    return findings.verdict(records.length);
  };

/** `decode-*-diff.jsonl`: lines where other conversions decode otherwise. Ours must be the main file's. */
export const checkDecodingDiff: (family: GoldenFamily, main: string) => FileCheck =
  (family, main) => async (folder, file) => {
    const tokenizer = await tokenizerOf(folder, family);
    const findings = new Findings();
    const records: readonly DecodingRecord[] = JSON.parse(goldenText(folder, main));
    const others: readonly OtherRecord[] = JSON.parse(goldenText(folder, file));
    for (const { line, id } of others) {
      const record = records[line];
      findings.equal("id", `line ${line} of ${main}`, record?.id, id);
      if (record !== undefined) await compare(tokenizer, record, findings);
    }
    return findings.verdictOfDifferences(others.length);
  };

async function compare(tokenizer: Tokenizer, record: DecodingRecord, findings: Findings) {
  const text = await tokenizer.decode(record.ids, {
    skipSpecialTokens: record.skip_special_tokens,
    ...(record.clean_up_tokenization_spaces === null
      ? {}
      : { cleanUpSpaces: record.clean_up_tokenization_spaces }),
  });
  findings.equal("text", record.id, text, record.text);
}
