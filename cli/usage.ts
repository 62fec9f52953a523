import type { Setting, SettingTable } from "../core/config/setting.ts";
import { isSettingName } from "../core/config/run-config.ts";
import { sections } from "../core/config/settings.ts";
import { shortFlags } from "./args.ts";
import { type Command, settingsOf } from "./command.ts";
import { flagOf } from "./names.ts";
import { commonOptions, essentialSettings } from "./options.ts";
import { wrapped, wrappedCommand } from "./wrap.ts";

/** How a help page is shown. */
export interface PageOptions {
  /** Characters on a line. */
  readonly width: number;
  /** Whether it shows every flag, or only the essential ones of a command with many. */
  readonly all: boolean;
}

/** A command's help page, from the tables that its flags are parsed with. */
export function commandUsage(
  name: string,
  about: string,
  command: Command,
  { width, all }: PageOptions,
): string {
  const isShort = !all && command.settings.length > essentialSettings.length;
  const shown = new Set<string>(
    isShort
      ? command.settings.filter((setting) => essentialSettings.includes(setting))
      : command.settings,
  );
  const own = { ...command.options, ...commonOptions };
  const settingOf = settingsOf(command);
  const groups = Object.entries<SettingTable>(sections).map(([title, table]) => {
    const used = Object.keys(table)
      .filter(isSettingName)
      .filter((key) => shown.has(key));
    return [title, Object.fromEntries(used.map((key) => [key, settingOf(key)]))] as const;
  });
  const paragraph = (text: string) => wrapped(text, width).join("\n");
  const page = { width, hasAliases: !isShort };
  const left = command.settings.length - shown.size;
  const parts = [
    paragraph(`adalora ${name}: ${about}`),
    paragraph(`Usage: ${`adalora ${name} ${command.usage}`.trim()} [flags]`),
    ...command.notes.map(paragraph),
    ...groups.flatMap(([title, table]) => section(title, table, page)),
    ...section("Command", own, page, [helpLines(width)]),
    ...(left === 0 ? [] : [paragraph(moreFlags(name, left))]),
    ["Examples", ...command.examples.flatMap((line) => wrappedCommand(line, width))].join("\n"),
  ];
  return parts.join("\n\n");
}

// --- internal ---

const moreFlags = (name: string, left: number) =>
  `adalora ${name} --help-all shows ${left} more flags, and other names of these.`;

/** Width of the column of flags. On a narrower page a description is below its flag. */
const flagWidth = 26;
const narrow = { page: 56, indent: 6 };

interface PageShape {
  readonly width: number;
  /** Whether it names the aliases of flags. */
  readonly hasAliases: boolean;
}

function section(
  title: string,
  table: SettingTable,
  page: PageShape,
  more: readonly (readonly string[])[] = [],
): string[] {
  const lines = Object.entries(table).map(([key, setting]) => settingLines(key, setting, page));
  const all = [...lines, ...more].flat();
  return all.length === 0 ? [] : [[title, ...all].join("\n")];
}

const helpLines = (width: number) => flagLines("  -h, --help", "show this page", width);

function settingLines(
  key: string,
  setting: Setting<unknown>,
  { width, hasAliases }: PageShape,
): string[] {
  const { hint, about, aliases: also, fallback } = setting;
  const no = hint === undefined && fallback === true ? "[no-]" : "";
  const short = [...shortFlags].find(([, long]) => long === key)?.[0];
  const name = `  ${short === undefined ? "" : `-${short}, `}--${no}${flagOf(key, setting)}`;
  const whole = hint === undefined ? name : `${name} ${hint}`;
  // The words of a long choice do not fit beside the flag: they go into its description.
  const isLong = whole.length > width;
  const flag = isLong ? `${name} WORD` : whole;
  const words = isLong ? `: ${hint?.replaceAll("|", ", ")}` : "";
  const hasDefault = typeof fallback === "number" || typeof fallback === "string";
  const defaultText = hasDefault ? ` (default ${fallback})` : "";
  const aliases =
    also.length === 0 || !hasAliases ? "" : `; also ${also.map((one) => `--${one}`).join(", ")}`;
  return flagLines(flag, about + words + defaultText + aliases, width);
}

function flagLines(flag: string, about: string, width: number): string[] {
  const column = width < narrow.page ? narrow.indent : flagWidth;
  const text = wrapped(about, width - column);
  const indent = " ".repeat(column);
  if (flag.length > column - 2) return [flag, ...text.map((line) => indent + line)];
  return text.map((line, i) => (i === 0 ? flag.padEnd(column) : indent) + line);
}
