import type { CompletedCommand, CompletedFlag } from "./commands.ts";

/** The completion of zsh, as a function for a folder of fpath. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  return [
    "#compdef adalora",
    "# zsh completion for adalora, made by: adalora completion zsh",
    "_adalora() {",
    "  local context state line",
    "  _arguments -C '1:command:->command' '*::argument:->arguments'",
    '  case "$state" in',
    "    command)",
    "      local -a commands=(",
    ...commands.map(({ name, about }) => `        ${quoted(`${name}:${escaped(about)}`)}`),
    "      )",
    "      _describe command commands ;;",
    "    arguments)",
    '      case "$line[1]" in',
    ...commands.flatMap(commandLines),
    "      esac ;;",
    "  esac",
    "}",
    'if [[ "$funcstack[1]" == _adalora ]]; then _adalora "$@"; else compdef _adalora adalora; fi',
  ].join("\n");
}

// --- internal ---

function commandLines({ name, words, flags }: CompletedCommand): readonly string[] {
  const specs = [...flags.flatMap(flagSpecs), argumentSpec(words)];
  return [
    `        ${name}) _arguments \\`,
    ...specs.map((spec, i) => `          ${spec}${i === specs.length - 1 ? " ;;" : " \\"}`),
  ];
}

function argumentSpec(words: readonly string[]): string {
  // In braces: a bare action is called with more options, which _alternative does not know.
  if (words.length === 0) return "'*:argument:_files'";
  return `'1:argument:{_alternative "word:word:(${words.join(" ")})" "file:file:_files"}'`;
}

function flagSpecs({ name, short, about, hint, choices, isRepeated }: CompletedFlag) {
  const value = hint === undefined ? "" : `:${escaped(hint)}:${action(hint, choices)}`;
  return [name, ...(short ? [short] : [])].map((flag) =>
    quoted(`${isRepeated ? "*" : ""}${flag}[${escaped(about)}]${value}`),
  );
}

function action(hint: string, choices: readonly string[] | undefined): string {
  if (choices !== undefined) return `(${choices.join(" ")})`;
  return /DIR|FILE|PATH/.test(hint) ? "_files" : " ";
}

/** A text inside a specification, where brackets and colons have a meaning. */
const escaped = (text: string) => text.replaceAll(/[[\]:\\]/g, String.raw`\$&`);

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
