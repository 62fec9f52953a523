import { type CommandDef, defineCommand, runCommand } from "citty";
import packageJson from "../package.json" with { type: "json" };
import { errors } from "../core/errors.ts";
import type { Command } from "./command.ts";
import { type CommandEntry, commands } from "./commands.ts";
import { createReport, exit, type ExitCode, type Report, tolerateClosedPipe } from "./report.ts";

type Commands = Readonly<Record<string, CommandEntry>>;

/** Runs a command line; returns what to exit with. Prints through a report alone. */
export async function main(
  args: readonly string[],
  { among = commands, open = createReport }: { among?: Commands; open?: typeof createReport } = {},
): Promise<ExitCode> {
  const before = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
  // Read ahead of all other flags: a mistake in those is reported in this form too.
  const out = open({ json: before.includes("--json"), quiet: before.includes("--quiet") });
  try {
    const name = args[0];
    if (name === undefined || name === "--help" || name === "-h") {
      out.page(rootUsage(among));
      return 0;
    }
    if (name === "--version" || name === "-v") {
      out.page(packageJson.version);
      return 0;
    }
    const entry = await find(name, among);
    if (before.includes("--help") || before.includes("-h")) {
      const { commandUsage } = await import("./usage.ts");
      out.page(commandUsage(name, entry.about, await entry.load()));
      return 0;
    }
    return await dispatch(args, among, out);
  } catch (error) {
    return out.error(error);
  }
}

if (import.meta.main) {
  tolerateClosedPipe();
  await exit(await main(process.argv.slice(2)));
}

// --- internal ---

async function find(name: string, among: Commands): Promise<CommandEntry> {
  const entry = Object.hasOwn(among, name) ? among[name] : undefined;
  if (entry !== undefined) return entry;
  const { nearest } = await import("./names.ts");
  const known = Object.keys(among);
  throw errors.unknownCommand(name, known, nearest(name, known));
}

/** citty finds the command and runs it; the words after its name are read by its own table. */
async function dispatch(
  args: readonly string[],
  among: Commands,
  report: Report,
): Promise<ExitCode> {
  let code: ExitCode = 0;
  const leaf = (name: string, entry: CommandEntry) => async (): Promise<CommandDef> => {
    const command: Command = await entry.load();
    return defineCommand({
      meta: { name, description: entry.about },
      async run({ rawArgs }) {
        const { readLine } = await import("./command.ts");
        code = (await command.run(readLine(command, rawArgs), report)) ?? 0;
      },
    });
  };
  const leaves = Object.entries(among).map(([name, entry]) => [name, leaf(name, entry)] as const);
  const root = defineCommand({
    meta: { name: "adalora", version: packageJson.version },
    subCommands: Object.fromEntries(leaves),
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
