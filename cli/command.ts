import type { SettingName } from "../core/config/run-config.ts";
import type { SettingTable, ValuesOf } from "../core/config/setting.ts";
import { type FlagValue, parseArgs } from "./args.ts";
import { errors } from "../core/errors.ts";
import { commonOptions } from "./options.ts";
import { runSettings } from "./run-settings.ts";
import { scriptFlags, withoutLauncher } from "./reference-flags.ts";
import { isPasted } from "./script-overrides.ts";
import type { ExitCode, Report } from "./report.ts";

/** A parsed command line: every flag is known and every value valid. */
export interface CommandLine<Options extends SettingTable> {
  readonly positionals: readonly string[];
  /** The given flags, by their setting's key. */
  readonly given: ReadonlyMap<string, FlagValue>;
  /** Values of the command's own options, and of `json` and `quiet`; defaults where not given. */
  readonly options: ValuesOf<Options & typeof commonOptions>;
}

/** A subcommand: its arguments, flags, help page and action. */
export interface Command<Options extends SettingTable = SettingTable> {
  /** Its arguments in the usage line: "[RECIPE|FILE]". */
  readonly usage: string;
  /** Words that may stand for its first argument, besides paths and texts. */
  readonly words?: readonly string[];
  /** The most positional arguments that it accepts. */
  readonly positionals: number;
  /** The settings of a run that it accepts as flags. */
  readonly settings: readonly SettingName[];
  /** How it reads a setting's flag, where that differs from `run`. */
  readonly settingOf?: (name: SettingName) => SettingTable[string];
  readonly options: Options;
  /** Whether it accepts command lines of the authors' scripts. */
  readonly scripts: boolean;
  /** Paragraphs of its help page. */
  readonly notes: readonly string[];
  readonly examples: readonly string[];
  run(line: CommandLine<Options>, report: Report): Promise<ExitCode | void>;
}

/** Returns the command unchanged: it exists for type inference. */
export function defineCommand<Options extends SettingTable>(
  command: Command<Options>,
): Command<Options> {
  return command;
}

/** How a command reads the flags of a run's settings. */
export const settingsOf =
  ({ settingOf }: Pick<Command, "settingOf">) =>
  (name: SettingName): SettingTable[string] =>
    settingOf?.(name) ?? runSettings[name];

/** Parses a command's line. Throws E_FLAG as parseArgs does, and for too many arguments. */
export function readLine<Options extends SettingTable>(
  command: Command<Options>,
  args: readonly string[],
): CommandLine<Options> {
  const own = { ...command.options, ...commonOptions };
  const words = command.scripts ? withoutLauncher(args) : args;
  const settingOf = settingsOf(command);
  const taken = Object.fromEntries(command.settings.map((name) => [name, settingOf(name)]));
  const theirs = command.scripts ? scriptFlags(words) : {};
  const table = { ...taken, ...own, ...theirs };
  const { positionals, given } = parseArgs(words, table, {
    repeats: command.scripts && isPasted(words),
    unsuggested: Object.fromEntries(Object.entries(theirs).filter(([key]) => !(key in taken))),
  });
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
