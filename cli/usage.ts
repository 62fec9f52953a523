import type { Setting, SettingTable } from "../core/config/setting.ts";
import { isSettingName } from "../core/config/run-config.ts";
import { sections } from "../core/config/settings.ts";
import type { Command } from "./command.ts";
import { kebab } from "./names.ts";
import { commonOptions } from "./options.ts";
import { runSettings } from "./run-settings.ts";

/** Width of a help page, and of its column of flags. */
const pageWidth = 80;
const flagWidth = 26;

/** A command's help page, from the tables that its flags are parsed with. */
export function commandUsage(name: string, about: string, command: Command): string {
  const taken = new Set<string>(command.settings);
  const own = { ...command.options, ...commonOptions };
  const groups = Object.entries<SettingTable>(sections).map(([title, table]) => {
    const used = Object.keys(table)
      .filter(isSettingName)
      .filter((key) => taken.has(key));
    return [title, Object.fromEntries(used.map((key) => [key, runSettings[key]]))] as const;
  });
  const parts = [
    `adalora ${name}: ${about}`,
    `Usage: ${`adalora ${name} ${command.usage}`.trim()} [flags]`,
    ...command.notes.map((note) => wrapped(note, pageWidth).join("\n")),
    ...[...groups, ["Command", own] as const].flatMap(([title, table]) => section(title, table)),
    ["Examples", ...command.examples.map((line) => `  ${line}`)].join("\n"),
  ];
  return parts.join("\n\n");
}

// --- internal ---

function section(title: string, table: SettingTable): string[] {
  const lines = Object.entries(table).flatMap(([key, setting]) => flagLines(key, setting));
  return lines.length === 0 ? [] : [[title, ...lines].join("\n")];
}

function flagLines(key: string, setting: Setting<unknown>): string[] {
  const { hint, about, aliases: also, fallback } = setting;
  const no = hint === undefined && fallback === true ? "[no-]" : "";
  const name = `  --${no}${kebab(key)}`;
  const whole = hint === undefined ? name : `${name} ${hint}`;
  // The words of a long choice do not fit beside the flag: they go into its description.
  const isLong = whole.length > pageWidth;
  const flag = isLong ? `${name} WORD` : whole;
  const words = isLong ? `: ${hint?.replaceAll("|", ", ")}` : "";
  const hasDefault = typeof fallback === "number" || typeof fallback === "string";
  const defaultText = hasDefault ? ` (default ${fallback})` : "";
  const aliases = also.length === 0 ? "" : `; also ${also.map((one) => `--${one}`).join(", ")}`;
  const text = wrapped(about + words + defaultText + aliases, pageWidth - flagWidth);
  const indent = " ".repeat(flagWidth);
  if (flag.length > flagWidth - 2) return [flag, ...text.map((line) => indent + line)];
  return text.map((line, i) => (i === 0 ? flag.padEnd(flagWidth) : indent) + line);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
