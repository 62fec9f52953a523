import { AdaloraError } from "../../core/errors.ts";
import { lineIn } from "../../core/model/guard-plugin.ts";

/** What `adalora plugin check` looks at, in the order of its page. */
export type CheckName =
  | "declaration"
  | "config"
  | "weights"
  | "adapters"
  | "tokenizer"
  | "shrinking"
  | "forward"
  | "memory"
  | "gradients"
  | "checkpointing"
  | "batches"
  | "dropout"
  | "first tokens"
  | "increments"
  | "decoding"
  | "golden";

/** One result of a check. */
export interface PluginFinding {
  readonly check: CheckName;
  /** The task whose model was checked, for checks that compute: "span with padding (zero)". */
  readonly task?: string;
  /** "warn" and "skip" are no failures. */
  readonly level: "ok" | "warn" | "fail" | "skip";
  /** What was found. */
  readonly message: string;
  /** What to change in the plugin. */
  readonly hint?: string;
  /** The plugin's file and line, if known. */
  readonly where?: string;
}

/** Creates findings of one check. */
export function findings(check: CheckName) {
  const details = (hint: string | undefined, where?: string) => ({
    ...(hint === undefined ? {} : { hint }),
    ...(where === undefined ? {} : { where }),
  });
  return {
    ok: (message: string): PluginFinding => ({ check, level: "ok", message }),
    skip: (message: string): PluginFinding => ({ check, level: "skip", message }),
    warn: (message: string, hint?: string): PluginFinding => ({
      check,
      level: "warn",
      message,
      ...details(hint),
    }),
    fail: (message: string, hint?: string, where?: string): PluginFinding => ({
      check,
      level: "fail",
      message,
      ...details(hint, where),
    }),
  };
}

/** What findings about an error need to know of the plugin, to name its line. */
export interface PluginSource {
  /** The plugin's own files by their absolute paths; none for a plugin of the program. */
  readonly files: readonly string[];
}

/** The finding for an error that a check did not expect: thrown by one of the plugin's hooks. */
export function thrown(check: CheckName, error: unknown, { files }: PluginSource): PluginFinding {
  const { fail } = findings(check);
  const text = error instanceof Error ? error.message : String(error);
  const message = text.replaceAll(/\s*\n\s*/g, " ");
  if (!(error instanceof AdaloraError)) return fail(message, undefined, lineIn(error, files));
  // The message of a plugin's own error names its line already.
  return fail(message, error.hint, error.code === "E_PLUGIN" ? undefined : lineIn(error, files));
}

/** Names for a message: "a, b, c, d and 3 more". */
export function listed(names: readonly string[], most = 4): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** "1 key", "2 keys"; with a verb in the singular, "1 key maps", "2 keys map". */
export function counted(n: number, noun: string, verb = ""): string {
  const text = `${n} ${noun}${n === 1 ? "" : "s"}`;
  if (verb === "") return text;
  return `${text} ${n === 1 ? verb : (plurals[verb] ?? verb.replace(/s$/, ""))}`;
}

const plurals: Readonly<Record<string, string>> = { has: "have", matches: "match" };
