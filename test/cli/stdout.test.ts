import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { commands } from "../../cli/commands.ts";
import { createReport } from "../../cli/report.ts";
import type { Output } from "../../cli/terminal.ts";
import { errors } from "../../core/errors.ts";
import { fakeOutput } from "./fake-output.ts";
import { tinyTask } from "./tiny-task.ts";

const { folder, model, data } = tinyTask();
afterAll(() => rmSync(folder, { recursive: true }));

const program = resolve(import.meta.dir, "../../cli/main.ts");
const plan = `plan rte --model ${model} --data ${data} --device reference --init-warmup 15% --final-warmup 40%`;
const full = "stdout: no space is left on the device";

/** Runs a shell command in which $adalora is the command line; returns what it wrote to stderr. */
function shell(command: string): { code: number; err: string } {
  const env = { ...process.env, adalora: `${process.execPath} ${program}` };
  const ran = Bun.spawnSync(["sh", "-c", command], { cwd: folder, env, stdin: "ignore" });
  return { code: ran.exitCode, err: ran.stderr.toString() };
}

describe("a stdout that takes nothing", () => {
  test.each(["--version", "plan --help", plan, `${plan} --json --quiet`])(
    "is an error of adalora %s",
    (words) => {
      const { code, err } = shell(`exec $adalora ${words} >/dev/full`);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/error .*\n$/) });
      expect(err).toEndWith(`error  ${full}\n`);
    },
  );

  test.each(["--version", "plan --help", plan, `run --out ${folder}/closed`])(
    "because it is closed is an error of adalora %s, before anything is done",
    (words) => {
      expect(shell(`exec $adalora ${words} >&-`)).toEqual({
        code: 1,
        err: "error  stdout: is closed\n  hint: to drop the output, redirect it to /dev/null\n",
      });
      expect(existsSync(join(folder, "closed"))).toBe(false);
    },
  );

  test("because it is to be dropped is no error", () => {
    expect(shell("exec $adalora --version >/dev/null <&-")).toEqual({ code: 0, err: "" });
    const command = [process.execPath, program, "version"];
    expect(Bun.spawnSync(command, { stdio: ["ignore", "ignore", "pipe"] }).exitCode).toBe(0);
  });

  test("leaves the error of a command as it is", () => {
    expect(shell("exec $adalora nope --json >/dev/full")).toEqual({
      code: 1,
      err: `error  unknown command "nope"\n  hint: commands: ${Object.keys(commands).join(", ")}\n`,
    });
  });

  test("because its reader is gone ends the command quietly, with 141", () => {
    // The reader closes the pipe before it lets the command start.
    const command = `{ read -r _ <gate; $adalora ${plan} --json --quiet; echo $? >code; }`;
    expect(shell(`mkfifo gate && ${command} | { exec <&-; echo >gate; sleep 0; }`).err).toBe("");
    expect(readFileSync(join(folder, "code"), "utf8")).toBe("141\n");
  });
});

test("a stderr that takes nothing costs no result", () => {
  expect(shell(`$adalora ${plan} 2>&- | grep -c 'rte: adalora'`).code).toBe(0);
  expect(shell(`$adalora ${plan} 2>/dev/full | grep -c 'rte: adalora'`).code).toBe(0);
});

test("a slow reader gets all of a long text", async () => {
  const terminal = resolve(import.meta.dir, "../../cli/terminal.ts");
  const script = `import { outputOf } from ${JSON.stringify(terminal)};
    outputOf(process.stdout).write("long text\\n".repeat(300_000)); process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  await Bun.sleep(100);
  expect(await new Response(child.stdout).text()).toBe("long text\n".repeat(300_000));
});

describe("a report", () => {
  const failing = (code: string): Output => ({
    ...fakeOutput(),
    write() {
      throw Object.assign(new Error(`${code}: it fails`), { code });
    },
  });

  test.each([
    ["ENOSPC", 1, `error  ${full}\n`],
    ["EIO", 1, "error  stdout: the device reports an input or output error\n"],
    ["ENXIO", 1, "error  stdout: ENXIO: it fails\n"],
    ["EPIPE", 141, ""],
  ] as const)("whose stdout fails with %s ends with %d", (code, exitCode, message) => {
    for (const json of [false, true]) {
      const stderr = fakeOutput();
      const report = createReport({ json, quiet: false, stdout: failing(code), stderr });
      for (const print of [() => report.result({}, "x"), () => report.page("x")]) {
        let caught: unknown;
        try {
          print();
        } catch (error) {
          caught = error;
        }
        expect(report.error(caught)).toBe(exitCode);
      }
      expect(stderr.text).toBe(message.repeat(2));
    }
  });

  test("whose stderr fails prints the result, and returns the exit code", () => {
    const stdout = fakeOutput();
    const report = createReport({ json: true, quiet: false, stdout, stderr: failing("ENOSPC") });
    report.info("working");
    report.result({ a: 1 }, "a is 1");
    expect(report.error(errors.unknownFlag("x", undefined))).toBe(1);
    expect(stdout.text).toStartWith('{"a":1}\n{"error":');
  });
});
