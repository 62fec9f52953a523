import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bashCompletion } from "../../cli/completion/bash.ts";
import { type CompletedCommand, completedCommands } from "../../cli/completion/commands.ts";
import { fishCompletion } from "../../cli/completion/fish.ts";
import { zshCompletion } from "../../cli/completion/zsh.ts";
import { commands } from "../../cli/commands.ts";
import { main } from "../../cli/main.ts";
import { createReport } from "../../cli/report.ts";
import { settingNames } from "../../core/config/run-config.ts";
import type { Setting } from "../../core/config/setting.ts";
import { flagOf } from "../../cli/names.ts";
import { runSettings } from "../../cli/run-settings.ts";
import { fakeOutput } from "./fake-output.ts";

async function run(...args: string[]) {
  const [stdout, stderr] = [fakeOutput(), fakeOutput()];
  const code = await main(args, { open: (o) => createReport({ ...o, stdout, stderr }) });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

const plain = { short: undefined, hint: undefined, choices: undefined, isRepeated: false };

/** Two commands that have every kind of flag. */
const few: readonly CompletedCommand[] = [
  {
    name: "go",
    about: "start: at once, or it's late",
    words: ["north", "south"],
    flags: [
      { ...plain, name: "--out", short: "-o", about: "the folder", hint: "DIR" },
      { ...plain, name: "--pace", about: "how [fast]", hint: "a|b", choices: ["a", "b"] },
      { ...plain, name: "--add", about: "one more", hint: "FILE", isRepeated: true },
      { ...plain, name: "--quiet", short: "-q", about: "print less" },
    ],
  },
  { name: "stop", about: "stop", words: [], flags: [] },
];

/** What bash offers for a line whose last word is being typed. */
function bashOffers(script: string, line: string): readonly string[] {
  const words = line.split(" ").map((word) => `'${word}'`);
  const call = `COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _adalora`;
  const show = `printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", `${script}\n${call}\n${show}`]);
  expect(stderr.toString()).toBe("");
  return stdout.toString().trim().split("\n");
}

describe.skipIf(Bun.which("bash") === null)(
  "bash (skipped where it is not installed)",
  async () => {
    const script = (await run("completion", "bash")).stdout;

    test.each([
      ["adalora pl", ["plan", "plugin"]],
      ["adalora run r", ["rte"]],
      ["adalora run --method b", ["bitfit"]],
      ["adalora run --method = pr", ["prune-lora"]],
      ["adalora run rte --sched", ["--schedule"]],
      ["adalora run rte --no-", ["--no-bucketed", "--no-repeat-ngram"]],
      ["adalora predict --keep", ["--keep-columns"]],
      ["adalora eval --split ", ["validation", "test", "train"]],
      ["adalora plan --task sq", ["squad", "squad_v2"]],
      ["adalora bench --device a", ["auto"]],
      ["adalora help do", ["doctor"]],
      ["adalora completion ", ["bash", "zsh", "fish"]],
      ["adalora predict -", expect.arrayContaining(["-o", "-q", "-h", "--overwrite"])],
      ["adalora run --out ru", [""]], // readline completes the file
      ["adalora predict ", [""]],
      ["adalora nothing -", [""]],
    ])("%s", (line, expected) => {
      expect(bashOffers(script, line).toSorted()).toEqual(
        Array.isArray(expected) ? [...expected].map(String).toSorted() : expected,
      );
    });

    test("has every flag of every command", async () => {
      for (const [name, entry] of Object.entries(commands)) {
        const { settings, options } = await entry.load();
        const offered = bashOffers(script, `adalora ${name} --`);
        const taken = settings.map((key) => flagOf(key, runSettings[key]));
        const own = Object.entries<Setting<unknown>>(options).map((entries) => flagOf(...entries));
        const all = [...taken, ...own, "json", "quiet", "help"];
        expect(offered).toEqual(expect.arrayContaining(all.map((flag) => `--${flag}`)));
      }
      expect(bashOffers(script, "adalora run --").length).toBeGreaterThan(settingNames.length);
    });
  },
);

test("bash's script", () => {
  expect(bashCompletion(few)).toMatchInlineSnapshot(`
    "# bash completion for adalora, made by: adalora completion bash
    _adalora() {
      local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}"
      local command="\${COMP_WORDS[1]}" words="" flags="" first=""
      if [[ "$cur" == "=" ]]; then cur=""
      elif [[ "$prev" == "=" ]]; then prev="\${COMP_WORDS[COMP_CWORD - 2]}"; fi
      COMPREPLY=()
      if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "go stop" -- "$cur"))
        return
      fi
      case "$command" in
        go) first="north south" flags="--out -o --pace --add --quiet -q" ;;
        stop) first="" flags="" ;;
        *) return ;;
      esac
      case "$command $prev" in
        "go --out"|"go -o"|"go --add") return ;;
        "go --pace") words="a b" ;;
        *) if [[ "$cur" == -* ]]; then words="$flags"
          elif ((COMP_CWORD == 2)); then words="$first"; fi ;;
      esac
      COMPREPLY=($(compgen -W "$words" -- "$cur"))
    }
    complete -o default -F _adalora adalora ./adalora"
  `);
});

test("zsh's script", () => {
  expect(zshCompletion(few)).toMatchInlineSnapshot(`
    "#compdef adalora
    # zsh completion for adalora, made by: adalora completion zsh
    _adalora() {
      local context state line
      _arguments -C '1:command:->command' '*::argument:->arguments'
      case "$state" in
        command)
          local -a commands=(
            'go:start\\: at once, or it'\\''s late'
            'stop:stop'
          )
          _describe command commands ;;
        arguments)
          case "$line[1]" in
            go) _arguments \\
              '--out[the folder]:DIR:_files' \\
              '-o[the folder]:DIR:_files' \\
              '--pace[how \\[fast\\]]:a|b:(a b)' \\
              '*--add[one more]:FILE:_files' \\
              '--quiet[print less]' \\
              '-q[print less]' \\
              '1:argument:{_alternative "word:word:(north south)" "file:file:_files"}' ;;
            stop) _arguments \\
              '*:argument:_files' ;;
          esac ;;
      esac
    }
    if [[ "$funcstack[1]" == _adalora ]]; then _adalora "$@"; else compdef _adalora adalora; fi"
  `);
});

test("fish's script", () => {
  expect(fishCompletion(few)).toMatchInlineSnapshot(`
    "# fish completion for adalora, made by: adalora completion fish
    complete -c adalora -n '__fish_use_subcommand' -f -a go -d 'start: at once, or it\\'s late'
    complete -c adalora -n '__fish_use_subcommand' -f -a stop -d 'stop'
    complete -c adalora -n '__fish_seen_subcommand_from go' -a 'north south'
    complete -c adalora -n '__fish_seen_subcommand_from go' -l out -s o -r -d 'the folder'
    complete -c adalora -n '__fish_seen_subcommand_from go' -l pace -r -f -a 'a b' -d 'how [fast]'
    complete -c adalora -n '__fish_seen_subcommand_from go' -l add -r -d 'one more'
    complete -c adalora -n '__fish_seen_subcommand_from go' -l quiet -s q -d 'print less'"
  `);
});

describe.each(["bash", "zsh", "fish"])("%s", (shell) => {
  test.skipIf(Bun.which(shell) === null)("accepts its script (if it is installed)", async () => {
    const folder = mkdtempSync(join(tmpdir(), "adalora-completion-"));
    const file = join(folder, "script");
    writeFileSync(file, (await run("completion", shell)).stdout);
    const { exitCode, stderr } = Bun.spawnSync([shell, "-n", file]);
    rmSync(folder, { recursive: true });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });

  test("has a script, as JSON too", async () => {
    const { code, stdout } = await run("completion", shell, "--json");
    expect([code, JSON.parse(stdout).shell]).toEqual([0, shell]);
    expect(JSON.parse(stdout).script).toStartWith("#");
  });
});

test("descriptions are one short line", async () => {
  for (const { flags } of await completedCommands())
    for (const { about } of flags) expect(about).toMatch(/^[^\n;(]{8,120}$/);
});

test.each([
  [[], "no shell given"],
  [["ksh"], 'unexpected argument "ksh"'],
  [["bash", "zsh"], 'unexpected argument "zsh"'],
])("a shell is one of three: %j", async (words, message) => {
  const { code, stderr } = await run("completion", ...words);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`error  ${message}\n  hint: `)]);
});
