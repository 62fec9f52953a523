import type { Setting } from "../../core/config/setting.ts";
import { shortFlags } from "../args.ts";
import { commands } from "../commands.ts";
import { flagOf } from "../names.ts";
import { commonOptions } from "../options.ts";
import { runSettings } from "../run-settings.ts";

/** A command, as its completion needs it. */
export interface CompletedCommand {
  readonly name: string;
  readonly about: string;
  /** Words for its first argument, besides paths. */
  readonly words: readonly string[];
  readonly flags: readonly CompletedFlag[];
}

/** A flag, as its completion needs it. */
export interface CompletedFlag {
  /** "--out" */
  readonly name: string;
  /** "-o" */
  readonly short: string | undefined;
  readonly about: string;
  /** The placeholder of its value; undefined if it takes none. */
  readonly hint: string | undefined;
  /** The values that it accepts; undefined if there are others. */
  readonly choices: readonly string[] | undefined;
  /** Whether it may be given several times. */
  readonly isRepeated: boolean;
}

/** Every command with its flags, in the order of the help pages. */
export async function completedCommands(): Promise<readonly CompletedCommand[]> {
  const all: CompletedCommand[] = [];
  for (const [name, entry] of Object.entries(commands)) {
    const { settings, options, words = [] } = await entry.load();
    const taken = settings.map((key) => [key, runSettings[key]] as const);
    const own = Object.entries<Setting<unknown>>({ ...options, ...commonOptions });
    const flags = [...taken, ...own].flatMap(([key, setting]) => flagsOf(key, setting));
    all.push({ name, about: entry.about, words, flags: [...flags, ...helpFlags(settings.length)] });
  }
  const names = all.map(({ name }) => name);
  const help = { name: "help", about: "explain a command", words: names, flags: [] };
  return [...all, help, { name: "version", about: "print the version", words: [], flags: version }];
}

// --- internal ---

const plain = { short: undefined, hint: undefined, choices: undefined, isRepeated: false };

const version: readonly CompletedFlag[] = [
  { ...plain, name: "--verbose", about: "what the executable carries" },
  { ...plain, name: "--licences", about: "the licences of what the executable carries" },
];

/** The first part of a help text, or the first two where that is a single word. */
function shortened(about: string): string {
  const upTo = (end: RegExp) => about.split(end)[0]?.trim() ?? about;
  const first = upTo(/[;(:]|\. |\.$/);
  return first.includes(" ") ? first : upTo(/[;(]|\. |\.$/);
}

function flagsOf(key: string, setting: Setting<unknown>) {
  const { hint, about, choices, fallback } = setting;
  const name = flagOf(key, setting);
  const short = [...shortFlags].find(([, long]) => long === key)?.[0];
  const flag: CompletedFlag = {
    name: `--${name}`,
    short: short === undefined ? undefined : `-${short}`,
    about: shortened(about),
    hint,
    choices,
    isRepeated: setting.isRepeated === true,
  };
  const isOn = hint === undefined && fallback === true;
  return isOn
    ? [flag, { ...flag, name: `--no-${name}`, about: `turn off: ${flag.about}` }]
    : [flag];
}

function helpFlags(settings: number): readonly CompletedFlag[] {
  const help = { ...plain, name: "--help", short: "-h", about: "show the help page" };
  const all = { ...plain, name: "--help-all", about: "show every flag" };
  return settings > 0 ? [help, all] : [help];
}
