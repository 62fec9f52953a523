import type { CompletedCommand, CompletedFlag } from "./commands.ts";

/** The completion of fish, for its folder of completions. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  return [
    "# fish completion for adalora, made by: adalora completion fish",
    ...commands.map(
      ({ name, about }) => `${start("__fish_use_subcommand")} -f -a ${name} -d ${quoted(about)}`,
    ),
    ...commands.flatMap(commandLines),
  ].join("\n");
}

// --- internal ---

const start = (condition: string) => `complete -c adalora -n ${quoted(condition)}`;

function commandLines({ name, words, flags }: CompletedCommand): readonly string[] {
  const seen = start(`__fish_seen_subcommand_from ${name}`);
  const first = words.length === 0 ? [] : [`${seen} -a ${quoted(words.join(" "))}`];
  return [...first, ...flags.map((flag) => `${seen} ${flagWords(flag)}`)];
}

function flagWords({ name, short, about, hint, choices }: CompletedFlag): string {
  const letter = short === undefined ? "" : ` -s ${short.slice(1)}`;
  const values = choices === undefined ? "" : ` -f -a ${quoted(choices.join(" "))}`;
  const value = hint === undefined ? "" : ` -r${values}`;
  return `-l ${name.slice(2)}${letter}${value} -d ${quoted(about)}`;
}

const quoted = (text: string) => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
