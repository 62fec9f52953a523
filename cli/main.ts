import { type CommandDef, defineCommand, runCommand } from "citty";
import packageJson from "../package.json" with { type: "json" };
import { type AdaloraError, errors } from "../core/errors.ts";
import { TRIAL_COMMAND } from "../core/io/trial-command.ts";
import { cliErrors } from "./cli-errors.ts";
import { type CommandEntry, commands } from "./commands.ts";
import { ownersError } from "./plugins/loaded-plugins.ts";
import { createReport, exit, type ExitCode, type Report } from "./report.ts";

type Commands = Readonly<Record<string, CommandEntry>>;

/** Commands of this file. */
const builtIn: Readonly<Record<string, Pick<CommandEntry, "about">>> = {
  help: { about: "explain a command: adalora help run" },
  version: { about: "print the version, and with --verbose what the executable carries" },
};

/** Runs a command line and returns the exit code. Prints through a report only. */
export async function main(
  args: readonly string[],
  { among = commands, open = createReport }: { among?: Commands; open?: typeof createReport } = {},
): Promise<ExitCode> {
  const flags = beforeDashes(args);
  // Read ahead of the other flags, so that a mistake in those is reported in this form too.
  const isQuiet = flags.includes("--quiet") || flags.includes("-q");
  const report = open({ json: flags.includes("--json"), quiet: isQuiet });
  try {
    if (report.stdout.isClosed) {
      throw errors.file("stdout", "is closed", "to drop the output, redirect it to /dev/null");
    }
    const [first, ...rest] = args;
    const asksHelp = first === "help" && rest[0] !== undefined && !isHelp(rest[0]);
    const [name, ...words] = asksHelp ? [...rest, "--help"] : args;
    if (name === undefined || name === "help" || isHelp(name)) {
      await showRoot(among, report);
      return 0;
    }
    if (["version", "--version", "-v", "-V"].includes(name)) {
      if (words.length === 0) report.page(packageJson.version);
      else (await import("./version.ts")).showVersion(words, report);
      return 0;
    }
    if (name === TRIAL_COMMAND) {
      await (await import("../core/data/trial-process.ts")).serveTrials();
      return 0;
    }
    if (!Object.hasOwn(among, name)) throw await unknownCommand(name, among);
    return await dispatch([name, ...words], among, report);
  } catch (error) {
    return report.error(error);
  }
}

if (import.meta.main) {
  exit(
    await main(process.argv.slice(2), {
      open: (options) => withStrayErrors(createReport(options)),
    }),
  );
}

// --- internal ---

/**
 * A plugin may leave timers and promises behind, which throw outside any call of it: its failure
 * ends the command. Others are reported, and the command ends as its own work does.
 */
function withStrayErrors(report: Report): Report {
  const onError = (error: unknown) => {
    const owned = ownersError(error);
    const code = report.error(owned);
    if (owned !== error) exit(code);
  };
  process.on("uncaughtException", onError);
  process.on("unhandledRejection", onError);
  return report;
}

function isHelp(word: string): boolean {
  return ["--help", "-h", "--help-all"].includes(word);
}

/** The words in which flags are read. */
function beforeDashes(args: readonly string[]): readonly string[] {
  return args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
}

async function unknownCommand(name: string, among: Commands): Promise<AdaloraError> {
  const { nearest } = await import("../core/nearest.ts");
  const known = Object.keys(among);
  return cliErrors.unknownCommand(name, known, nearest(name, [...known, ...Object.keys(builtIn)]));
}

/**
 * citty finds the subcommand, loads that one alone and runs it. Its name is checked before: for an
 * unknown one citty would load every command to look for aliases. Flags and help pages are ours
 * (see args.ts and usage.ts).
 */
async function dispatch(
  args: readonly string[],
  among: Commands,
  report: Report,
): Promise<ExitCode> {
  let code: ExitCode = 0; // citty drops the result of a subcommand
  const subCommand = (name: string, entry: CommandEntry) => async (): Promise<CommandDef> => {
    const command = await entry.load();
    return defineCommand({
      meta: { name, description: entry.about },
      async run({ rawArgs }) {
        const flags = beforeDashes(rawArgs);
        if (flags.some(isHelp)) {
          const { commandUsage } = await import("./usage.ts");
          const options = { width: pageWidth(report), all: flags.includes("--help-all") };
          report.page(commandUsage(name, entry.about, command, options));
          return;
        }
        const { readLine } = await import("./command.ts");
        code = (await command.run(readLine(command, rawArgs), report)) ?? 0;
      },
    });
  };
  const root = defineCommand({
    meta: { name: "adalora", version: packageJson.version },
    subCommands: Object.fromEntries(
      Object.entries(among).map(([name, entry]) => [name, subCommand(name, entry)]),
    ),
  });
  await runCommand(root, { rawArgs: [...args] });
  return code;
}

/** Lines of more than 100 characters are hard to read; on fewer than 40 nothing fits. */
function pageWidth({ stdout }: Report): number {
  return Math.min(100, Math.max(40, stdout.columns));
}

async function showRoot(among: Commands, report: Report): Promise<void> {
  const { wrapped } = await import("./wrap.ts");
  const width = pageWidth(report);
  const entries = Object.entries({ ...among, ...builtIn });
  const column = Math.max(...entries.map(([name]) => name.length)) + 5;
  const list = entries.flatMap(([name, { about }]) =>
    wrapped(about, width - column).map(
      (line, i) => (i === 0 ? `  ${name}` : "").padEnd(column) + line,
    ),
  );
  const page = [
    wrapped(`adalora ${packageJson.version}: ${packageJson.description}`, width).join("\n"),
    "Usage: adalora COMMAND [flags]",
    list.join("\n"),
    wrapped("adalora COMMAND --help explains a command and its flags.", width).join("\n"),
  ];
  report.page(page.join("\n\n"));
}
