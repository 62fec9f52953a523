import { readSquad } from "../../../core/data/squad.ts";
import type { SquadExample } from "../../../core/data/squad-question.ts";
import { AdaloraError } from "../../../core/errors.ts";
import { goldenText } from "./golden-file.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

interface GoldenExample {
  readonly id: string;
  readonly question: string;
  readonly context: string;
  readonly answers: { readonly text: readonly string[]; readonly answer_start: readonly number[] };
}

const recordsOf = (folder: GoldenFolder): readonly GoldenExample[] =>
  JSON.parse(goldenText(folder, "squad-examples.json"));

/** The folder's questions in order. Some answers are wrong on purpose, so our reader is not in between. */
export function goldenExamples(folder: GoldenFolder): SquadExample[] {
  return recordsOf(folder).map(({ id, question, context, answers }, index) => ({
    index,
    id,
    question,
    context,
    answers: answers.text.map((text, i) => ({ text, start: answers.answer_start[i] ?? 0 })),
  }));
}

/** `squad-examples.json`: our reader gives each question as it is, or refuses it where an answer is not where it says. */
export const checkSquadExamples: FileCheck = async (folder, file) => {
  const findings = new Findings();
  const examples = goldenExamples(folder);
  for (const [i, record] of recordsOf(folder).entries()) {
    const want = { ...examples[i], index: 0 };
    const got = await readOne(file, record);
    if (isRight(record)) findings.equal("example", record.id, got, want);
    else findings.equal("refused", record.id, got instanceof AdaloraError, true);
  }
  return findings.verdict(examples.length);
};

async function readOne(name: string, record: GoldenExample): Promise<SquadExample | AdaloraError> {
  const source = { name, bytes: new TextEncoder().encode(JSON.stringify([record])) };
  const split = { role: "train", name: "train", files: [source] } as const;
  try {
    const { examples } = await readSquad(split, { labels: "required", unanswerable: true });
    const [only] = examples;
    if (only === undefined || examples.length > 1) throw new Error(`${examples.length} examples`);
    return only;
  } catch (error) {
    if (error instanceof AdaloraError) return error;
    throw error;
  }
}

/** Python's slice: by code points. */
function isRight({ context, answers }: GoldenExample): boolean {
  const points = Array.from(context);
  return answers.text.every((text, i) => {
    const start = answers.answer_start[i] ?? -1;
    const got = points.slice(start, start + Array.from(text).length).join("");
    return start >= 0 && start <= points.length && got === text;
  });
}
