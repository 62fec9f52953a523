/**
 * Holds the readers, and `adalora run` on what they refuse, to a folder of files with known outcomes:
 * `bun test/golden/check-bad.ts DIR`.
 * DIR/index.json lists { file, loader, task?, expect: error|warn|ok, line?, mentions, rows?, count?, answers?, strength }.
 * Prints one JSON line a file, { file, status: pass|fail|skip, reason?, worst }; exits 1 if anything failed.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { type Loaded, type Loader, loaderOf } from "./bad-loaders.ts";
import { badRunFaults } from "./bad-run.ts";

/** A bad file, and how reading it must end. */
export interface BadCase {
  readonly file: string;
  readonly loader: string;
  readonly task?: string;
  readonly expect: "error" | "warn" | "ok";
  readonly line?: number;
  readonly mentions: readonly string[];
  readonly rows?: readonly (readonly unknown[])[];
  readonly count?: number;
  /** Question answering: every answer's text and offset. */
  readonly answers?: readonly (readonly unknown[])[];
  /** "should": a matter of taste; another outcome passes with a note, unless rows are wrong or the reader crashes. */
  readonly strength: "must" | "should";
}

/** Whether a file ended as expected. */
export interface Verdict {
  readonly file: string;
  readonly status: "pass" | "fail" | "skip";
  readonly reason?: string;
  readonly worst: Readonly<Record<string, number>>;
}

/** What a reader did with a file. */
type Outcome =
  | { readonly kind: "error"; readonly message: string; readonly hint: string }
  | { readonly kind: "crash"; readonly message: string }
  | ({ readonly kind: "loaded" } & Loaded);

/** Runs one case through the reader, and through the command line where the reader refuses the file. */
export async function checkCase(folder: string, entry: BadCase): Promise<Verdict> {
  const { file, strength } = entry;
  const loader = loaderOf(entry.loader, entry.task);
  if (loader === undefined) {
    const of = entry.task === undefined ? "" : ` for task ${entry.task}`;
    return verdict(file, "skip", `no loader ${entry.loader}${of}`);
  }
  const path = join(folder, file);
  const outcome = await load(path, loader);
  const hard = hardFaults(outcome, entry);
  if (outcome.kind === "error" && existsSync(join(recipes, `${loader.recipe}.toml`))) {
    const message = outcome.message.slice(outcome.message.indexOf(file));
    hard.push(...(await badRunFaults(loader.recipe, path, message)));
  }
  if (hard.length > 0) return verdict(file, "fail", hard.join("; "));
  const faults = faultsOf(outcome, entry);
  if (faults.length === 0) return verdict(file, "pass");
  return strength === "must"
    ? verdict(file, "fail", faults.join("; "))
    : verdict(file, "pass", `should: ${faults.join("; ")}`);
}

const recipes = join(import.meta.dir, "../../cli/recipes");

function verdict(file: string, status: Verdict["status"], reason?: string): Verdict {
  return { file, status, ...(reason === undefined ? {} : { reason }), worst: {} };
}

async function load(path: string, loader: Loader): Promise<Outcome> {
  try {
    return { kind: "loaded", ...(await loader.read(path)) };
  } catch (error) {
    if (error instanceof AdaloraError) {
      return { kind: "error", message: error.message, hint: error.hint ?? "" };
    }
    return { kind: "crash", message: String(error) };
  }
}

/** What no taste excuses: a crash, or rows other than the file's. */
function hardFaults(outcome: Outcome, { rows, count, answers }: BadCase): string[] {
  if (outcome.kind === "crash") return [`crashed: ${outcome.message}`];
  if (outcome.kind === "error") return [];
  const faults: string[] = [];
  const compare = (what: string, got: unknown, want: unknown) => {
    if (want === undefined || JSON.stringify(got) === JSON.stringify(want)) return;
    faults.push(`${what} are ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
  };
  compare("rows", outcome.rows, rows);
  compare("answers", outcome.answers, answers);
  const found = outcome.rows.length;
  if (count !== undefined && found !== count) faults.push(`${found} rows, not ${count}`);
  return faults;
}

function faultsOf(outcome: Outcome, entry: BadCase): string[] {
  const { expect } = entry;
  if (outcome.kind === "crash") return [];
  if (outcome.kind === "error") {
    return expect === "error"
      ? messageFaults([`${outcome.message} ${outcome.hint}`], entry)
      : [`is an error, not ${expect}: ${outcome.message}`];
  }
  if (expect === "error") return [`loads ${outcome.rows.length} rows, not an error`];
  if (expect === "warn") return messageFaults(outcome.warnings, entry);
  return outcome.warnings.length === 0 ? [] : [`warns: ${outcome.warnings.join("; ")}`];
}

/** One of the messages must name the place as "FILE:3:" and, beside the place, hold every word. */
function messageFaults(messages: readonly string[], { file, line, mentions }: BadCase): string[] {
  const place = line === undefined ? file : `${file}:${line}:`;
  const missing = messages.map((message) => {
    const [, ...rest] = message.split(place);
    // Without its place: "sst2-label-2.tsv:3" must not pass for the words "2" and "3".
    const text = rest.join(" ");
    return rest.length === 0 ? [place] : mentions.filter((word) => !text.includes(word));
  });
  const [fewest] = missing.toSorted((a, b) => a.length - b.length);
  if (fewest === undefined) return ["no warning"];
  if (fewest.length === 0) return [];
  return [`the message lacks ${fewest.join(", ")}: ${messages.join("; ").trim()}`];
}

function readCases(folder: string): readonly BadCase[] {
  return JSON.parse(readFileSync(join(folder, "index.json"), "utf8"));
}

async function main(folders: readonly string[]): Promise<number> {
  let failed = 0;
  for (const folder of folders) {
    for (const entry of readCases(folder)) {
      const result = await checkCase(folder, entry);
      console.log(JSON.stringify(result));
      if (result.status === "fail") failed++;
    }
  }
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  const folders = process.argv.slice(2);
  if (folders.length === 0) {
    console.error("usage: bun test/golden/check-bad.ts DIR…");
    process.exit(1);
  }
  process.exit(await main(folders));
}
