import { describe, expect, test } from "bun:test";
import { defineCommand } from "../../cli/command.ts";
import type { CommandEntry } from "../../cli/commands.ts";
import { main } from "../../cli/main.ts";
import { createReport } from "../../cli/report.ts";
import { integer, toggle } from "../../core/config/setting.ts";
import packageJson from "../../package.json" with { type: "json" };
import { fakeOutput } from "./fake-output.ts";

/** A command that reports what it was given. */
const echo = defineCommand({
  usage: "[WORD]",
  positionals: 1,
  settings: ["lr", "bucketed", "method"],
  options: {
    times: integer(1, "how often", { min: 1, aliases: ["count"] }),
    fail: toggle(false, "end as if interrupted"),
  },
  scripts: false,
  notes: [
    "Says what it was given, and nothing else: it is here so that the help page's own form can be tested.",
  ],
  examples: ["adalora echo hello --times 2"],
  run({ positionals, given, options }, report) {
    const [word = "nothing"] = positionals;
    report.info(`echoing ${options.times} times`);
    report.result(
      { word, lr: given.get("lr")?.value ?? null, ...options },
      word.repeat(options.times),
    );
    return Promise.resolve(options.fail ? 130 : 0);
  },
});

const among: Record<string, CommandEntry> = {
  echo: { about: "say a word", load: () => Promise.resolve(echo) },
  broken: { about: "fail to load", load: () => Promise.reject(new Error("no such module")) },
};

async function run(...args: string[]) {
  const stdout = fakeOutput();
  const stderr = fakeOutput();
  const code = await main(args, { among, open: (o) => createReport({ ...o, stdout, stderr }) });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

describe("help", () => {
  test("of adalora lists the commands and loads none", async () => {
    const { code, stdout, stderr } = await run("--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatchInlineSnapshot(`
      "adalora 0.1.0: AdaLoRA fine-tuning for DeBERTa, ModernBERT and BART: one
      command, no Python at run time, PEFT-compatible files

      Usage: adalora COMMAND [flags]

        echo      say a word
        broken    fail to load
        help      explain a command: adalora help run
        version   print the version, and with --verbose what the executable carries

      adalora COMMAND --help explains a command and its flags.
      "
    `);
    expect(await run()).toEqual({ code, stdout, stderr });
    expect(await run("-h")).toEqual({ code, stdout, stderr });
    expect(await run("help")).toEqual({ code, stdout, stderr });
    expect((await run("echo", "--help")).stdout).toBe((await run("help", "echo")).stdout);
  });

  test("of a command comes from its tables, and wins over mistakes", async () => {
    const { code, stdout } = await run("echo", "--lrr", "--help");
    expect(code).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "adalora echo: say a word

      Usage: adalora echo [WORD] [flags]

      Says what it was given, and nothing else: it is here so that the help page's own
      form can be tested.

      Adapter
        --method adalora|lora|svd-lora|prune-lora|bitfit|head|full
                                the fine-tuning method: AdaLoRA, or a baseline of the
                                paper (default adalora)

      Training
        --lr X                  peak learning rate (default 0.0005); also
                                --learning-rate
        --[no-]bucketed         batch examples of similar length together; also
                                --group-by-length

      Command
        --times N               how often (default 1); also --count
        --fail                  end as if interrupted
        --json                  print one JSON object on stdout; messages stay on
                                stderr
        -q, --quiet             print results, warnings and errors only
        -h, --help              show this page

      Examples
        adalora echo hello --times 2
      "
    `);
    expect(stdout.split("\n").every((line) => line.length <= 80)).toBe(true);
  });

  test("is only a word after --", async () => {
    expect((await run("echo", "--", "--help")).stdout).toBe("--help\n");
  });
});

test.each(["--version", "version", "-V"])("%s prints it alone", async (word) => {
  expect((await run(word)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("version --verbose prints what an executable carries, and a checkout carries nothing", async () => {
  const checkout = "This is no executable but its source, which carries no other software";
  expect((await run("version", "--verbose")).stdout).toContain(checkout);
  expect((await run("version", "--licences")).stdout).toStartWith(checkout);
  expect(JSON.parse((await run("version", "--verbose", "--json")).stdout)).toEqual({
    version: packageJson.version,
  });
  expect((await run("version", "--help")).stdout).toContain("Usage: adalora version");
  const mistyped = await run("version", "--verbos");
  expect(mistyped.stderr).toBe("error  unknown flag --verbos\n  hint: did you mean --verbose?\n");
  expect((await run("version", "x")).stderr).toStartWith('error  unexpected argument "x"\n');
});

test.each(["-q", "--quiet"])("%s leaves warnings, errors and the result", async (flag) => {
  expect(await run("echo", "hey", flag)).toEqual({ code: 0, stdout: "hey\n", stderr: "" });
  expect((await run("echo", "--lrr", flag)).stderr).toStartWith("error  unknown flag --lrr\n");
});

describe("a command", () => {
  test("gets its words, its options' values and the flags that were given", async () => {
    expect(await run("echo", "hey", "--count", "2", "--lr=1e-3")).toEqual({
      code: 0,
      stdout: "heyhey\n",
      stderr: "echoing 2 times\n",
    });
  });

  test("prints one JSON object with --json", async () => {
    const { stdout } = await run("echo", "--json", "--learning_rate", "1e-3");
    expect(JSON.parse(stdout)).toEqual({
      word: "nothing",
      lr: 1e-3,
      times: 1,
      fail: false,
      json: true,
      quiet: false,
    });
    expect(stdout.trimEnd()).not.toContain("\n");
  });

  test("says what to exit with", async () => {
    expect((await run("echo", "--fail")).code).toBe(130);
  });
});

describe("a mistake", () => {
  test.each([
    [["ecoh"], 'unknown command "ecoh"', "did you mean echo? commands: echo, broken"],
    [["hlep"], 'unknown command "hlep"', "did you mean help? commands: echo, broken"],
    [["help", "ecoh"], 'unknown command "ecoh"', "did you mean echo? commands: echo, broken"],
    [["echo", "-o", "x"], "unknown flag -o", undefined],
    [["--json", "echo"], 'unknown command "--json"', "commands: echo, broken"],
    [["echo", "--lrr", "1"], "unknown flag --lrr", "did you mean --lr?"],
    [["echo", "--target-rank", "1"], "unknown flag --target-rank", undefined],
    [["echo", "a", "b"], 'unexpected argument "b"', "the command takes [WORD], and flags"],
  ])("in %j exits with 1 and a hint", async (args, message, hint) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(1);
    expect(stderr).toBe(`error  ${message}\n${hint === undefined ? "" : `  hint: ${hint}\n`}`);
    if (!args.includes("--json")) expect(stdout).toBe("");
  });

  test("with --json is an object too", async () => {
    const { code, stdout } = await run("echo", "--lrr", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { message: "unknown flag --lrr" } });
  });

  test("of ours exits with 70", async () => {
    const { code, stderr } = await run("broken");
    expect(code).toBe(70);
    expect(stderr).toStartWith("error  internal: no such module\n");
  });
});
