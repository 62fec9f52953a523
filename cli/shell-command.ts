import { kebab } from "./names.ts";

/** The words by which the user called this program: "./adalora", or "bun cli/main.ts". */
export function programWords(
  env: NodeJS.ProcessEnv = process.env,
  { argv, argv0 }: Pick<NodeJS.Process, "argv" | "argv0"> = process,
): readonly string[] {
  const script = env["ADALORA_COMMAND"]; // set by the shell script that starts a checkout
  if (script !== undefined && script !== "") return [script];
  const [, main = ""] = argv;
  const isExecutable = main.startsWith("/$bunfs/"); // the file system inside a compiled program
  return isExecutable ? [argv0] : [argv0, main];
}

/** A command line that a shell reads as these words. */
export const shellCommand = (words: readonly string[]): string => words.map(quoted).join(" ");

/** The command that resumes the run in a folder, whose config.json holds all of its settings. */
export function resumeCommand(out: string, program = programWords()): string {
  return shellCommand([...program, "run", "--resume", ...outFlag(out)]);
}

/**
 * The command line that was given, with --resume and --out: for several runs in one folder, which
 * does not hold their settings. `isNamed`: it names a recipe, file or task; else the demo is meant.
 */
export function sameCommand(
  out: string,
  { isNamed }: { readonly isNamed: boolean },
  given: readonly string[] = process.argv.slice(2),
  program = programWords(),
): string {
  const [verb = "run", ...rest] = given;
  const kept = rest.filter((word, i) => !isOverwrite(word) && !isValueOfOverwrite(rest, i));
  const flags = new Set(kept.map(flagName));
  return shellCommand([
    ...program,
    verb,
    ...(isNamed ? [] : ["demo"]),
    ...kept,
    ...(flags.has("resume") ? [] : ["--resume"]),
    ...(["out", "output-dir", "root-output-dir"].some((name) => flags.has(name))
      ? []
      : outFlag(out)),
  ]);
}

// --- internal ---

/** A value that starts with a dash would be taken for a flag. */
const outFlag = (out: string) => (out.startsWith("-") ? [`--out=${out}`] : ["--out", out]);

const quoted = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** "output-dir" of "--output_dir=x"; "" for a word that is no flag. */
const flagName = (word: string) => kebab(/^--([^=]+)/.exec(word)?.[1] ?? "");

/** --resume and --overwrite exclude each other. */
const isOverwrite = (word: string) =>
  ["overwrite", "overwrite-output-dir"].includes(flagName(word));

const isValueOfOverwrite = (words: readonly string[], i: number) =>
  /^(true|false)$/i.test(words[i] ?? "") &&
  isOverwrite(words[i - 1] ?? "") &&
  words[i - 1]?.includes("=") === false;
