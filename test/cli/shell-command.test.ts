import { expect, test } from "bun:test";
import { programWords, resumeCommand, sameCommand, shellCommand } from "../../cli/shell-command.ts";

test("the program is called as the user called it", () => {
  const bun = { argv: ["/usr/bin/bun", "/src/cli/main.ts", "run"], argv0: "bun" };
  expect(programWords({}, bun)).toEqual(["bun", "/src/cli/main.ts"]);
  expect(programWords({ ADALORA_COMMAND: "./adalora" }, bun)).toEqual(["./adalora"]);
  const compiled = { argv: ["bun", "/$bunfs/root/adalora", "run"], argv0: "dist/adalora" };
  expect(programWords({}, compiled)).toEqual(["dist/adalora"]);
});

test("words that a shell would split or expand are quoted", async () => {
  const words = ["a b", "it's", "$HOME", "*", "runs/x-1.0", "", "~", "a;b", "`ls`", "\\"];
  const command = shellCommand(["printf", String.raw`%s\n`, ...words]);
  const shell = Bun.spawn(["sh", "-c", command], { stdout: "pipe" });
  expect(await new Response(shell.stdout).text()).toBe(`${words.join("\n")}\n`);
  expect(shellCommand(["./adalora", "run", "--out", "runs/rte"])).toBe(
    "./adalora run --out runs/rte",
  );
});

test("a run is resumed from its folder, as --out was given", () => {
  expect(resumeCommand("my runs/a", ["./adalora"])).toBe(
    "./adalora run --resume --out 'my runs/a'",
  );
  expect(resumeCommand("-x", ["adalora"])).toBe("adalora run --resume --out=-x");
});

test.each([
  ["run rte --seeds 1,2 --out x", true, "run rte --seeds 1,2 --out x --resume"],
  ["run rte --seeds 1,2", true, "run rte --seeds 1,2 --resume --out runs/y"],
  ["run --lr 1", false, "run demo --lr 1 --resume --out runs/y"],
  ["run demo --overwrite --output_dir=x", true, "run demo --output_dir=x --resume"],
  ["run demo --overwrite true --out x", true, "run demo --out x --resume"],
  ["run demo --overwrite_output_dir --resume --out x", true, "run demo --resume --out x"],
])("%p becomes a command that resumes several runs", (given, isNamed, expected) => {
  expect(sameCommand("runs/y", { isNamed }, given.split(" "), ["adalora"])).toBe(
    `adalora ${expected}`,
  );
});
