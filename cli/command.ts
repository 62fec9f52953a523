import type { SettingName } from "../core/config/run-config.ts";
import type { SettingTable, ValuesOf } from "../core/config/setting.ts";
import { type FlagValue, parseArgs } from "./args.ts";
import { errors } from "../core/errors.ts";
import { commonOptions } from "./options.ts";
import { runSettings } from "./run-settings.ts";
import { scriptFlags, withoutLauncher } from "./reference-flags.ts";
import type { ExitCode, Report } from "./report.ts";

/** A command line, read: every flag is known, every value is one that its setting allows. */
export interface CommandLine<Options extends SettingTable> {
  readonly positionals: readonly string[];
  /** The flags that were given, by their setting's key. */
  readonly given: ReadonlyMap<string, FlagValue>;
  /** The command's own options, and `json` and `quiet`, with their defaults. */
  readonly options: ValuesOf<Options & typeof commonOptions>;
}

/** What a command takes and does. */
export interface Command<Options extends SettingTable = SettingTable> {
  /** Its arguments, for the usage line: "[RECIPE|FILE]". */
  readonly usage: string;
  readonly positionals: number;
  /** The settings of a run that it takes as flags. */
  readonly settings: readonly SettingName[];
  readonly options: Options;
  /** Whether a line of the authors' scripts may be pasted. */
  readonly scripts: boolean;
  /** Further paragraphs of its help. */
  readonly notes: readonly string[];
  readonly examples: readonly string[];
  run(line: CommandLine<Options>, report: Report): Promise<ExitCode | void>;
}

/** Identity at run time: it is here for inference. */
export function defineCommand<Options extends SettingTable>(
  command: Command<Options>,
): Command<Options> {
  return command;
}

/** Reads a command's line. Throws E_FLAG as parseArgs does, and for an argument too many. */
export function readLine<Options extends SettingTable>(
  command: Command<Options>,
  args: readonly string[],
): CommandLine<Options> {
  const own = { ...command.options, ...commonOptions };
  const words = command.scripts ? withoutLauncher(args) : args;
  const taken = Object.fromEntries(command.settings.map((name) => [name, runSettings[name]]));
  const table = { ...taken, ...own, ...(command.scripts ? scriptFlags(words) : {}) };
  const { positionals, given } = parseArgs(words, table);
  const extra = positionals[command.positionals];
  if (extra !== undefined) throw errors.argument(extra, command.usage);
  const values = Object.entries<SettingTable[string]>(own).map(([key, { fallback }]) => {
    const found = given.get(key);
    return [key, found ? found.value : fallback] as const;
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys and types are the table's own
  const options = Object.fromEntries(values) as CommandLine<Options>["options"];
  return { positionals, given, options };
}
