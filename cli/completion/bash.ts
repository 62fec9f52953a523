import type { CompletedCommand, CompletedFlag } from "./commands.ts";

/**
 * The completion of bash: commands, a command's flags and first argument, a flag's values. Where it
 * has none, readline completes file names.
 */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  return [
    "# bash completion for adalora, made by: adalora completion bash",
    "_adalora() {",
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD - 1]}"',
    '  local command="${COMP_WORDS[1]}" words="" flags="" first=""',
    '  if [[ "$cur" == "=" ]]; then cur=""',
    '  elif [[ "$prev" == "=" ]]; then prev="${COMP_WORDS[COMP_CWORD - 2]}"; fi',
    "  COMPREPLY=()",
    "  if ((COMP_CWORD == 1)); then",
    `    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")}" -- "$cur"))`,
    "    return",
    "  fi",
    '  case "$command" in',
    ...commands.map(({ name, words, flags }) => {
      const names = flags.flatMap(({ name: long, short }) => [long, ...(short ? [short] : [])]);
      return `    ${name}) first="${words.join(" ")}" flags="${names.join(" ")}" ;;`;
    }),
    "    *) return ;;",
    "  esac",
    '  case "$command $prev" in',
    ...valueCases(commands),
    '    *) if [[ "$cur" == -* ]]; then words="$flags"',
    '      elif ((COMP_CWORD == 2)); then words="$first"; fi ;;',
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    "complete -o default -F _adalora adalora ./adalora",
  ].join("\n");
}

// --- internal ---

/** A case for each list of values, and one for the flags whose values it cannot know. */
function valueCases(commands: readonly CompletedCommand[]): readonly string[] {
  const patterns = new Map<string, string[]>();
  for (const command of commands) {
    for (const flag of command.flags.filter(({ hint }) => hint !== undefined)) {
      const values = flag.choices?.join(" ") ?? "";
      patterns.set(values, [...(patterns.get(values) ?? []), ...patternsOf(command, flag)]);
    }
  }
  return [...patterns].map(([values, list]) =>
    values === ""
      ? `    ${list.join("|")}) return ;;`
      : `    ${list.join("|")}) words="${values}" ;;`,
  );
}

const patternsOf = ({ name }: CompletedCommand, { name: long, short }: CompletedFlag) =>
  [long, ...(short ? [short] : [])].map((flag) => `"${name} ${flag}"`);
