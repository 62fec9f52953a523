import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { writeTinyModel } from "../cli/tiny-task.ts";
import { commandTest, cpu } from "./command.ts";

const { path, start, run, task, training } = commandTest();

/** Ends only when it is stopped. */
const long = { "max-steps": 20_000, "eval-steps": 20_000, "save-steps": 20_000 };
const begun = "step     3/20000";
/** The last lines of a run that failed, which must be no crash report. */
const lastError = (stderr: string) => stderr.slice(stderr.indexOf("error  "));

/** A copy of the tiny model, for damage. */
function ownModel(name: string): { dir: string; weights: string } {
  const dir = path(name);
  cpSync(task.model, dir, { recursive: true });
  return { dir, weights: join(dir, "model.safetensors") };
}

describe("the weights of a run that are changed under it", () => {
  const damages: [what: string, damage: (weights: string) => void][] = [
    ["truncated", (weights) => truncateSync(weights, 1000)],
    ["appended to", (weights) => appendFileSync(weights, "more")],
    ["written again", (weights) => utimesSync(weights, 1, 1)],
  ];
  for (const [what, damage] of damages)
    test(`${what} end it with one line that names the file`, async () => {
      const { dir, weights } = ownModel(what.replaceAll(" ", "-"));
      const started = start(training({ ...long, model: dir, out: path(`run-${what}`) }));
      await started.after(begun);
      damage(weights);
      const { code, stderr } = await started.ended;
      expect([code, lastError(stderr)]).toEqual([
        1,
        `error  ${weights}: was changed while the run was using it\n  hint: --resume continues from the last checkpoint, once the file is as it was\n`,
      ]);
      expect(readdirSync(path(`run-${what}`))).not.toContain("checkpoints");
    });

  test("replaced or deleted make no difference, for the run has the old file", async () => {
    const { dir, weights } = ownModel("replaced");
    const out = path("run-replaced");
    const started = start(training({ out, model: dir, "max-steps": 200, "eval-steps": 200 }));
    await started.after("step   3/200");
    cpSync(weights, `${weights}.new`);
    appendFileSync(`${weights}.new`, "more");
    renameSync(`${weights}.new`, weights);
    rmSync(weights);
    expect((await started.ended).code).toBe(0);
  });
});

describe("the folder of a run that is", () => {
  for (const [what, remove] of [
    ["deleted", (out: string) => rmSync(out, { recursive: true })],
    ["moved", (out: string) => renameSync(out, `${out}-elsewhere`)],
  ] as const)
    test(`${what} under it ends it with one line`, async () => {
      const out = path(`folder-${what}`);
      const started = start(training({ ...long, out }));
      await started.after(begun);
      remove(out);
      const { code, stderr } = await started.ended;
      expect([code, lastError(stderr)]).toEqual([
        1,
        `error  ${out} was moved or deleted while the run was writing to it\n  hint: what was trained since the last checkpoint is lost\n`,
      ]);
      expect(existsSync(out)).toBe(false);
    });
});

test.skipIf(cpu.backend === undefined).each(["cpu", "reference"])(
  "weights that are truncated while they are read on the device %s end the program with one line",
  async (device) => {
    const dir = path(`large-${device}`);
    writeTinyModel(dir, { hidden_size: 256, intermediate_size: 1024 });
    const weights = join(dir, "model.safetensors");
    const program = path("reads.ts");
    const root = join(import.meta.dir, "../..");
    await Bun.write(
      program,
      `import { truncateSync } from "node:fs";
       import { openBackend } from "${root}/cli/backend.ts";
       import { openSafetensors } from "${root}/core/io/safetensors.ts";
       const options = { device: ${JSON.stringify(device)}, dtype: "auto", threads: 1 };
       const backend = await openBackend(options);
       const { tensors } = openSafetensors(${JSON.stringify(weights)});
       const large = [...tensors.values()].filter(({ bytes }) => bytes.length > 2 ** 18);
       const buffers = large.map((tensor) => backend.adopt(tensor, backend.activation));
       truncateSync(${JSON.stringify(weights)}, 1000);
       for (const buffer of buffers) backend.download(buffer);
       for (const { bytes } of large) bytes.at(-1);`,
    );
    const child = Bun.spawn([process.execPath, program], { stdout: "pipe", stderr: "pipe" });
    const stderr = await new Response(child.stderr).text();
    expect([await child.exited, stderr]).toEqual([
      1,
      `error  ${weights}: was truncated, or became unreadable, while it was in use\n`,
    ]);
  },
);

test("nothing is said of a run whose files stay", async () => {
  expect((await run(training({ out: path("fine"), "max-steps": 4 }))).code).toBe(0);
});
