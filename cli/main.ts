import { type CommandDef, defineCommand, runCommand } from "citty";
import packageJson from "../package.json" with { type: "json" };
import { type AdaloraError, errors } from "../core/errors.ts";
import { TRIAL_COMMAND } from "../core/io/trial-command.ts";
import { type CommandEntry, commands } from "./commands.ts";
import { createReport, exit, type ExitCode, type Report, tolerateClosedPipe } from "./report.ts";

type Commands = Readonly<Record<string, CommandEntry>>;

/** Runs a command line and returns the exit code. Prints through a report only. */
export async function main(
  args: readonly string[],
  { among = commands, open = createReport }: { among?: Commands; open?: typeof createReport } = {},
): Promise<ExitCode> {
  const flags = beforeDashes(args);
  // Read ahead of the other flags, so that a mistake in those is reported in this form too.
  const report = open({ json: flags.includes("--json"), quiet: flags.includes("--quiet") });
  try {
    const [name] = args;
    if (name === undefined || name === "--help" || name === "-h") {
      report.page(rootUsage(among));
      return 0;
    }
    if (name === "--version" || name === "-v") {
      report.page(packageJson.version);
      return 0;
    }
    if (name === TRIAL_COMMAND) {
      await (await import("../core/data/trial-process.ts")).serveTrials();
      return 0;
    }
    if (!Object.hasOwn(among, name)) throw await unknownCommand(name, among);
    return await dispatch(args, among, report);
  } catch (error) {
    return report.error(error);
  }
}

if (import.meta.main) {
  tolerateClosedPipe();
  await exit(await main(process.argv.slice(2)));
}

// --- internal ---

/** The words in which flags are read. */
function beforeDashes(args: readonly string[]): readonly string[] {
  return args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
}

async function unknownCommand(name: string, among: Commands): Promise<AdaloraError> {
  const { nearest } = await import("./names.ts");
  const known = Object.keys(among);
  return errors.unknownCommand(name, known, nearest(name, known));
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
        if (flags.includes("--help") || flags.includes("-h")) {
          const { commandUsage } = await import("./usage.ts");
          report.page(commandUsage(name, entry.about, command));
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

function rootUsage(among: Commands): string {
  const names = Object.keys(among);
  const width = Math.max(...names.map((name) => name.length)) + 3;
  return [
    `adalora ${packageJson.version}: ${packageJson.description}`,
    "Usage: adalora COMMAND [flags]",
    Object.entries(among)
      .map(([name, { about }]) => `  ${name.padEnd(width)}${about}`)
      .join("\n"),
    "adalora COMMAND --help explains a command and its flags.",
  ].join("\n\n");
}
