import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { cases } from "../../conformance/cases.ts";
import { expectEnded, longScript } from "../../helpers/ended-process.ts";
import { areClose, expectedLosses, LOSSES } from "./losses.ts";
import { partsFor, SANITIZED } from "./parts.ts";
import { FILES, type Line, openResults } from "./results.ts";
import type { Job } from "./run-job.ts";
import { type Part, runParts } from "./run-parts.ts";

const folder = mkdtempSync(join(tmpdir(), "adalora-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const shell = (script: string): Job => ({ command: ["sh", "-c", script] });
const linesIn = (out: string): Line[] =>
  readFileSync(join(out, FILES.lines), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

function withoutTime(line: Line) {
  const { seconds: _, ...rest } = line;
  return rest;
}

/** Runs parts; returns whether all are ok, and their lines without the time that they took. */
async function run(name: string, parts: readonly Part[], seconds = 60) {
  const out = join(folder, name);
  const results = openResults(out, "summary");
  const isOk = await runParts(parts, { seconds, results, say: () => {} });
  const lines = linesIn(out).map(withoutTime);
  return { out, isOk, lines, summary: JSON.parse(readFileSync(results.summarize(), "utf8")) };
}

test("a job's JSON objects are its results, and other words its log", async () => {
  const script = `echo '{"loss":0.5}'; echo words; echo '{"loss":'; printf '{"last":1}'`;
  const { out, isOk, lines, summary } = await run("results", [
    { name: "one", seconds: 10, jobs: [shell(script)] },
    { name: "two", seconds: 10, jobs: [shell("exit 0"), shell("echo no torch >&2; exit 3")] },
  ]);
  expect(isOk).toBe(true);
  expect(lines).toEqual([
    { part: "one", loss: 0.5 },
    { part: "one", last: 1 },
    { part: "one", status: "ok" },
    { part: "two", status: "ok" },
    { part: "two", status: "skipped", message: "no torch" },
  ]);
  expect(readFileSync(join(out, FILES.log), "utf8")).toContain('words\n{"loss":\n');
  expect(summary.one[0]).toEqual({ loss: 0.5 });
});

test("an earlier run's files stay beside those of another into the same folder", async () => {
  const parts = (script: string) => [{ name: "one", seconds: 10, jobs: [shell(script)] }];
  for (const n of [1, 2, 3]) await run("again", parts(`echo '{"run":${n}}'; echo words ${n}`));
  const out = join(folder, "again");
  const names = ["", "-1", "-2"].flatMap((end) => [
    `log${end}.txt`,
    `results${end}.jsonl`,
    `summary${end}.json`,
  ]);
  expect(readdirSync(out).toSorted()).toEqual(names.toSorted());
  const text = (name: string) => readFileSync(join(out, name), "utf8");
  for (const [end, n] of [
    ["-1", 1],
    ["-2", 2],
    ["", 3],
  ] as const) {
    expect(text(`results${end}.jsonl`)).toStartWith(`{"part":"one","run":${n}}\n`);
    expect(text(`log${end}.txt`)).toContain(`words ${n}\n`);
    expect(JSON.parse(text(`summary${end}.json`)).one[0]).toEqual({ run: n });
  }
});

test("a part that fails has its message and does not stop the others", async () => {
  const { isOk, lines } = await run("failures", [
    { name: "wrong", seconds: 10, jobs: [shell("echo '... on it' >&2; echo bad sum >&2; exit 1")] },
    { name: "crash", seconds: 10, jobs: [shell("kill -SEGV $$")] },
    { name: "absent", seconds: 10, jobs: [{ command: ["/nowhere/tool"] }] },
    { name: "right", seconds: 10, jobs: [shell("exit 0")] },
  ]);
  expect(isOk).toBe(false);
  expect(lines).toEqual([
    { part: "wrong", status: "failed", message: "bad sum" },
    { part: "crash", status: "failed", message: "ended by SIGSEGV (11)" },
    { part: "absent", status: "failed", message: expect.stringContaining("ENOENT") },
    { part: "right", status: "ok" },
  ]);
});

test("nothing else runs where a required part fails", async () => {
  const { isOk, lines } = await run("required", [
    { name: "doctor", seconds: 10, jobs: [shell("exit 1")], required: true },
    { name: "smoke", seconds: 10, jobs: [shell("exit 0")] },
  ]);
  expect([isOk, lines]).toEqual([
    false,
    [{ part: "doctor", status: "failed", message: "exit status 1" }],
  ]);
});

test("a job that takes too long is ended with its children, and keeps its results", async () => {
  const mark = join(folder, "child-has-lived");
  const script = `echo '{"loss":1}'; echo '... step 2' >&2; (sleep 0.6; touch ${mark}) & sleep 30`;
  const started = performance.now();
  const { isOk, lines } = await run("late", [
    { name: "slow", seconds: 10, jobs: [{ ...shell(script), seconds: 0.2 }] },
  ]);
  expect(performance.now() - started).toBeLessThan(5000);
  expect(isOk).toBe(false);
  expect(lines).toEqual([
    { part: "slow", loss: 1 },
    { part: "slow", status: "timed out", message: "... step 2" },
  ]);
  await Bun.sleep(700);
  expect(existsSync(mark)).toBe(false);
});

test("what there is no time for is skipped", async () => {
  const { isOk, lines } = await run("over", [{ name: "cpu", seconds: 60, jobs: [shell("")] }], 0.5);
  expect([isOk, lines]).toEqual([
    true,
    [{ part: "cpu", status: "skipped", message: "no time is left" }],
  ]);
});

test("the parts are in order, and their limits add up to nine minutes at most", () => {
  const choice = { device: "cuda", quick: false, small: false, scratch: "/nowhere" };
  const parts = partsFor(choice);
  const timed = parts.filter(({ seconds }) => seconds < Infinity);
  expect(timed.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(540);
  expect(parts.map(({ name }) => name)).toEqual([
    "environment",
    "doctor",
    "smoke",
    "compile",
    "conformance f32",
    "conformance bf16",
    "goldens",
    "benchmark",
    "peft",
    "profile",
    "compute-sanitizer",
    "cpu",
  ]);
  expect(partsFor({ ...choice, quick: true }).at(-1)?.name).toBe("smoke");
  for (const { jobs } of parts)
    for (const { command } of jobs) {
      const script = command.find((word) => word.endsWith(".ts"));
      expect(script === undefined || existsSync(script), command.join(" ")).toBe(true);
    }
});

/** All files that files import, by way of others too, and what they import from packages. */
async function importedBy(entries: readonly string[]) {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const [files, packages] = [new Set(entries), new Set<string>()];
  for (const file of files) {
    if (!file.endsWith(".ts")) continue;
    for (const { path } of transpiler.scan(await Bun.file(file).text()).imports)
      if (path.startsWith(".")) files.add(Bun.resolveSync(path, dirname(file)));
      else if (!/^(node:|bun(:|$))/.test(path)) packages.add(path);
  }
  return { files: [...files], packages: [...packages] };
}

test("everything runs without npm packages, from what device.sh copies of a checkout", async () => {
  const root = join(import.meta.dir, "../../..");
  const jobs = readdirSync(join(import.meta.dir, "jobs")).filter((name) => name.endsWith(".ts"));
  const entries = [join(import.meta.dir, "main.ts")];
  for (const name of jobs) entries.push(join(import.meta.dir, "jobs", name));
  const { files, packages } = await importedBy(entries);
  expect(packages).toEqual([]);
  const script = readFileSync(join(root, "test/cuda/device.sh"), "utf8");
  const copied = /cp -R (.*) "\$scratch\/tree"/.exec(script)?.[1]?.split(" ") ?? [];
  const needed = new Set(files.map((file) => relative(root, file).split("/")[0]!));
  expect([...needed].filter((name) => !copied.includes(name))).toEqual([]);
});

test("sanitizers see cases that exist", () => {
  const names = new Set(cases.map(({ name }) => name));
  expect(SANITIZED.filter((name) => !names.has(name))).toEqual([]);
});

test("losses are compared by what the dtype can hold", () => {
  expect(areClose([0.7, 2.5], [0.7001, 2.5], "f32")).toBe(true);
  expect(areClose([0.7, 2.51], [0.7, 2.5], "f32")).toBe(false);
  expect(areClose([0.7, 2.51], [0.7, 2.5], "bf16")).toBe(true);
  expect(areClose([0.7, Number.NaN], [0.7, 2.5], "bf16")).toBe(false);
  expect(areClose([0.7], [0.7, 2.5], "bf16")).toBe(false);
  expect(expectedLosses("rte-b32", true)).toHaveLength(LOSSES);
});

/** A job with four items: the device is lost at the second, and the third is wrong. */
const itemsJob = `
import { errors } from ${JSON.stringify(join(import.meta.dir, "../../../core/errors.ts"))};
import { checkItems } from ${JSON.stringify(join(import.meta.dir, "jobs/items.ts"))};
import { runAsJob } from ${JSON.stringify(join(import.meta.dir, "jobs/job.ts"))};
let isLost = false;
const fail = (error) => { throw error; };
const backend = { alloc() {}, free() {}, download: () => isLost && fail(errors.native("cuMemcpy", 700, "x")) };
const lose = () => { isLost = true; fail(errors.native("cuStreamSynchronize", 700, "illegal address")); };
const items = [
  { name: "add", check: () => ({ worst: 0 }) },
  { name: "gemm", check: lose },
  { name: "scale", check: () => fail(errors.native("cublasGemmEx", 15, "off by one")) },
  { name: "copy", check: () => ({}) },
];
await runAsJob((flags) => checkItems(flags, async () => ({ backend, items })));
`;

test("after a lost device the rest is checked in a new process", async () => {
  const script = join(folder, "items.ts");
  writeFileSync(script, itemsJob);
  const { isOk, lines } = await run("items", [
    { name: "conformance", seconds: 30, jobs: [{ command: [process.execPath, script] }] },
  ]);
  expect(isOk).toBe(false);
  const part = "conformance";
  expect(lines).toEqual([
    { part, item: "add", status: "pass", worst: 0 },
    {
      part,
      item: "gemm",
      status: "fail",
      message: "[cuStreamSynchronize] illegal address (status 700)",
      isLost: true,
    },
    { part, from: 0, passed: 1, failed: 1, next: 2 },
    {
      part,
      item: "scale",
      status: "fail",
      message: "[cublasGemmEx] off by one (status 15)",
      isLost: false,
    },
    { part, from: 2, passed: 1, failed: 1 },
    { part, status: "failed", message: "1 of 2 failed" },
  ]);
});

test("without a driver the doctor says so, and nothing else runs", () => {
  const out = join(folder, "no-driver");
  const script = join(import.meta.dir, "main.ts");
  const env = { ...process.env, ADALORA_CUDA_DRIVER: "/nowhere/libcuda.so.1" };
  const { exitCode } = Bun.spawnSync([process.execPath, script, out], { env });
  expect(exitCode).toBe(1);
  const lines = linesIn(out);
  expect(lines[0]).toMatchObject({ part: "environment", bun: Bun.version });
  expect(lines.find(({ what }) => what === "driver and device")).toMatchObject({ ok: false });
  expect(lines.at(-1)).toMatchObject({
    part: "doctor",
    status: "failed",
    message: expect.stringContaining("driver and device: cannot load NVIDIA's driver"),
  });
});

test("a run that a signal ends stops its job, and keeps its results", async () => {
  const [script, pid] = [join(folder, "interrupted.ts"), join(folder, "interrupted.pid")];
  const job = JSON.stringify({ command: ["sh", "-c", longScript(pid)] });
  const module = JSON.stringify(join(import.meta.dir, "run-job.ts"));
  writeFileSync(
    script,
    `import { runJob } from ${module}; await runJob(${job}, 60, { result() {}, log() {} });`,
  );
  const out = join(folder, "interrupted");
  const env = { ...process.env, ADALORA_CUDA_DRIVER: "/nowhere/libcuda.so.1" };
  const started = [
    { words: [join(import.meta.dir, "main.ts"), out], file: join(out, FILES.log) },
    { words: [script], file: pid },
  ];
  await Promise.all(
    started.map(async ({ words, file }) => {
      const child = Bun.spawn([process.execPath, ...words], { env, stdout: "ignore" });
      while (!existsSync(file)) await Bun.sleep(5);
      child.kill("SIGTERM");
      expect([words[0], await child.exited]).toEqual([words[0], 143]);
    }),
  );
  expect(readdirSync(out).some((name) => name.endsWith("-cuda.json"))).toBe(true);
  await expectEnded(pid);
});

/** Runs device.sh of a copy with nothing but itself, as on a bare machine. */
function bareRun(args: readonly string[], options: { uid?: number; cwd?: string } = {}) {
  const root = join(folder, "bare");
  for (const file of ["test/cuda/device.sh", "scripts/bootstrap.sh", "package-lock.json"])
    cpSync(join(import.meta.dir, "../../..", file), join(root, file));
  const command = ["bash", join(root, "test/cuda/device.sh"), ...args];
  const env = { PATH: "/usr/bin:/bin", CDPATH: "/" };
  const { exitCode, stderr } = Bun.spawnSync(command, { env, ...options });
  return { exitCode, stderr: stderr.toString().replaceAll(root, "ROOT") };
}

test("without Bun and without a kit, the script says how to make one", () => {
  expect(bareRun([join(folder, "nothing")])).toEqual({
    exitCode: 1,
    stderr: `device.sh: no Bun: there is neither node_modules nor ROOT/.native/device-kit.tar
  on a machine with the packages: node_modules/.bin/bun test/cuda/device/pack.ts; then bring .native/device-kit.tar here
`,
  });
  expect(bareRun(["--quick"]).stderr).toStartWith("device.sh: --quick is not a folder");
});

test("the folder of results may be relative, and one that can't be written is named", () => {
  chmodSync(folder, 0o755);
  const readOnly = join(folder, "read only");
  mkdirSync(readOnly, { mode: 0o555 });
  const nobody = process.getuid?.() === 0 ? { uid: 65_534 } : {};
  expect(bareRun([readOnly], nobody).stderr).toStartWith(
    `device.sh: ${readOnly} can't be written\n`,
  );
  expect(bareRun(["tmp"], { cwd: folder }).stderr).toStartWith("device.sh: no Bun");
  expect(existsSync(join(folder, "tmp"))).toBe(true);
});
