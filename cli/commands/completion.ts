import { errors } from "../../core/errors.ts";
import { defineCommand } from "../command.ts";

const shells = {
  bash: async () => (await import("../completion/bash.ts")).bashCompletion,
  zsh: async () => (await import("../completion/zsh.ts")).zshCompletion,
  fish: async () => (await import("../completion/fish.ts")).fishCompletion,
};

const shellNames = Object.keys(shells);

/** `adalora completion`: a shell's script that completes this version's commands and flags. */
export const completion = defineCommand({
  usage: shellNames.join("|"),
  words: shellNames,
  positionals: 1,
  settings: [],
  options: {},
  scripts: false,
  notes: [
    "Prints the script for a shell. bash and zsh read it from a start-up file, fish from its folder of completions. It completes `adalora` by that name, and in bash `./adalora` too.",
  ],
  examples: [
    "source <(adalora completion bash)",
    "adalora completion bash >> ~/.bashrc",
    'adalora completion zsh > "${fpath[1]}/_adalora"',
    "adalora completion fish > ~/.config/fish/completions/adalora.fish",
  ],

  async run({ positionals: [shell] }, report) {
    const known = `one of ${shellNames.join(", ")}`;
    if (shell === undefined)
      throw errors.missing("shell", `name ${known}: adalora completion bash`);
    if (!isShell(shell)) throw errors.argument(shell, shellNames.join("|"));
    const { completedCommands } = await import("../completion/commands.ts");
    const script = (await shells[shell]())(await completedCommands());
    report.result({ shell, script }, script);
  },
});

function isShell(name: string): name is keyof typeof shells {
  return Object.hasOwn(shells, name);
}
