import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { workloadNames } from "../../cli/bench/workloads.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { available } from "../helpers/available.ts";
import { runHere } from "../helpers/run-here.ts";
import { tinyBart, tinyBartConfig } from "../helpers/tiny-bart.ts";
import { tinyTask, writeTinyModel } from "./tiny-task.ts";

const { folder } = tinyTask();
afterAll(() => rmSync(folder, { recursive: true }));
const { reason } = await available(() => createCpuBackend({ threads: 1 }));

/** Both families as a folder of checkpoints. */
const models = join(folder, "models");
mkdirSync(models);
writeTinyModel(join(models, "deberta-v3-base"), { max_position_embeddings: 512 });
writeTinyBart(join(models, "bart-base"));

function writeTinyBart(dir: string): void {
  const ids = { eos_token_id: 2, decoder_start_token_id: 2, forced_eos_token_id: 2 };
  const config = { ...tinyBartConfig, ...ids, max_position_embeddings: 1024 };
  const backend = createReferenceBackend();
  const { tree } = tinyBart(backend, { config }).adapted;
  const own = [...tree.parameters.values()].filter(({ name }) => name.startsWith("model."));
  const tensors = own.map(
    ({ name, storedShape, buffer }) =>
      [name, float32Tensor(storedShape, Float32Array.from(backend.download(buffer)))] as const,
  );
  mkdirSync(dir);
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  writeSafetensors(join(dir, "model.safetensors"), new Map(tensors));
}

/** The test's own environment. */
const environment = () =>
  Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? ""]));
const program = resolve(import.meta.dir, "../../cli/main.ts");

/** Runs `adalora bench`, whose measurements take place in processes of their own. */
const bench = (...flags: string[]) =>
  runHere(["bench", ...flags], { program, cwd: folder, env: environment() });

/** The same, in a process of its own too. */
async function benchProcess(...flags: string[]) {
  const child = Bun.spawn([process.execPath, program, "bench", ...flags], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

/** What peer.py prints. */
const figures = {
  mean_s: 3,
  start_up_s: 9,
  peak_rss_mib: 8000,
  other_load: [0, 0.5],
  versions: { torch: "2.15.0" },
};

/** Flags of two rounds beside a peer whose Python, a shell script called `name`, runs `commands` and prints the figures. */
function besidePeer(name: string, commands: string): string[] {
  const python = join(folder, name);
  writeFileSync(python, `#!/bin/sh\n${commands}\necho '${JSON.stringify(figures)}'\n`);
  chmodSync(python, 0o755);
  return ["--peer", "--peer-dir", "/peer", "--python", python, "--rounds", "2"];
}

const once = ["--threads", "1", "--steps", "1", "--warmup", "1", "--rounds", "1"];

describe.skipIf(reason !== undefined)("bench", () => {
  test("measures every workload on checkpoints of both families", async () => {
    const flags = ["--workload", "all", "--model", models, "--json", "--quiet", ...once];
    const { code, stdout, stderr } = await benchProcess(...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { results, dtype, cpu } = JSON.parse(stdout);
    expect(results.map(({ workload }: { workload: string }) => workload)).toEqual(workloadNames);
    for (const each of results) {
      expect(each.secondsPerStep.median).toBeGreaterThan(0);
      expect(each.neededGflop).toBeGreaterThan(0);
      expect(each.peakRssMib.median).toBeGreaterThan(50);
    }
    expect({ dtype, cpu }).toEqual({ dtype: "f32", cpu: expect.any(String) });
  });

  test("trains with layer checkpointing on request: layers run twice, to the same loss", async () => {
    const given = ["--workload", "rte-b32,xsum-b8", "--model", models, ...once];
    const file = join(folder, "again.json");
    const { code, stdout } = await bench(...given, "--checkpointing", "--result", file);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^rte-b32, checkpointing /m)]);
    const { checkpointing, results } = JSON.parse(readFileSync(file, "utf8"));
    expect([checkpointing, ...results.map((one: object) => "checkpointing" in one)]).toEqual([
      true,
      true,
      true,
    ]);
    const measured = async (...flags: string[]) => {
      const text = (await bench("--in-process", "--json", "--profile", ...given, ...flags)).stdout;
      const { kernels, ...rest } = JSON.parse(text);
      const norms = kernels.find(({ kernel }: { kernel: string }) => kernel === "addLayerNorm");
      return { ...rest, norms: norms?.calls };
    };
    const [plain, again] = [await measured(), await measured("--checkpointing")];
    expect([plain.checkpointing, again.checkpointing]).toEqual([false, true]);
    expect(again.finalValue).toBe(plain.finalValue);
    expect(again.norms).toBe(plain.norms + 4); // two norms of each of two layers
  });

  test("runs the peer alternately, in its best setting and on the same numbers", async () => {
    const batches = join(folder, "batches");
    mkdirSync(batches);
    const batch = {
      input_ids: [
        [1, 7, 8, 2],
        [1, 9, 2, 0],
      ],
      attention_mask: [
        [1, 1, 1, 1],
        [1, 1, 1, 0],
      ],
    };
    const rows = { ...batch, start_positions: [1, 0], end_positions: [2, 0] };
    writeFileSync(join(batches, "squad-b16.json"), JSON.stringify({ batches: [rows, rows] }));
    const calls = join(folder, "calls");
    const flags = ["--workload", "squad-b16", "--model", models, "--batches", batches];
    const peer = besidePeer("python", `echo "$@" >> ${calls}`);
    const { stdout, stderr } = await bench(...flags, ...peer, ...once.slice(0, 6), "--json");
    expect(stderr).toContain("squad-b16: round 2 of 2");
    const [result] = JSON.parse(stdout).results;
    expect(result.tokensPerSecond * result.secondsPerStep.median).toBeCloseTo(7, 9);
    expect(result.peer).toMatchObject({ otherLoad: 0.25, versions: { torch: "2.15.0" } });
    expect(result.peer.speedUp.median).toBeGreaterThan(3);
    const lines = readFileSync(calls, "utf8").trim().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toStartWith("/peer/peer.py squad-b16 --engine peft --dtype f32");
    expect(lines[0]).toContain(`--alloc keep --threads 1 --warmup 1 --steps 1`);
    expect(lines[0]).toContain(`--model ${join(models, "deberta-v3-base")} --batches ${batches}`);
  });

  test("a peer that is killed after its first round costs that round alone; a first round is an error", async () => {
    const batches = join(folder, "killed");
    mkdirSync(batches);
    const batch = { input_ids: [[1, 7, 2]], attention_mask: [[1, 1, 1]] };
    writeFileSync(join(batches, "sst2-b32.json"), JSON.stringify({ batches: [batch] }));
    const mark = join(folder, "ran");
    const flags = ["--workload", "sst2-b32", "--model", models, "--batches", batches];
    const peer = besidePeer("dying-python", `[ -e ${mark} ] && kill -KILL $$\ntouch ${mark}`);
    const compare = () => bench(...flags, ...peer, ...once.slice(0, 6), "--json");
    const { code, stdout, stderr } = await compare();
    const [result] = JSON.parse(stdout).results;
    expect([code, result.peer.failed, result.peer.speedUp.min > 0]).toEqual([0, 1, true]);
    expect(stderr).toContain("was killed by SIGKILL");
    const again = await compare();
    expect([again.code, JSON.parse(again.stdout).error]).toEqual([
      1,
      {
        code: "E_PROCESS",
        message: `${join(folder, "dying-python")} /peer/peer.py sst2-b32 was killed by SIGKILL`,
        hint: "the system kills processes when memory runs out",
      },
    ]);
  });

  test("writes the figures, the trace and the chart beside each other", async () => {
    const dir = join(folder, "figures");
    mkdirSync(dir);
    const given = ["--workload", "sst2-b32", "--model", models, ...once];
    const profile = await bench(...given, "--profile", "--result", join(dir, "figures.json"));
    expect(profile.stdout).toContain("sst2-b32: time by kernel over the timed steps");
    const trace = JSON.parse(readFileSync(join(dir, "trace-sst2-b32-f32.json"), "utf8"));
    const names = trace.traceEvents.map(({ name }: { name: string }) => name);
    expect(names.slice(0, 2)).toEqual(["step 2", "forward"]);
    expect(names).toContain("disentangledAttentionBackward");
    const scaling = await bench(...given, "--scaling", "--result", join(dir, "scaling.json"));
    expect(scaling.stdout).toContain("of linear");
    expect(existsSync(join(dir, "scaling-sst2-b32-f32.svg"))).toBe(true);
    const [{ points }] = JSON.parse(readFileSync(join(dir, "scaling.json"), "utf8")).scaling;
    expect(points.map(({ rows }: { rows: number }) => rows)).toEqual([4, 8, 16, 32, 64]);
  });
});

test.each([
  [["--workload", "rte"], "--workload must be one of rte-b32"],
  [
    ["--checkpointing", "--workload", "rte-b32,sst2-predict-b32"],
    "--checkpointing does not apply to workload sst2-predict-b32\n  hint: nothing is trained there; workloads that train: rte-b32,",
  ],
  [["--checkpointing", "--workload", "all"], "does not apply to workload sst2-predict-b32"],
  [
    ["--checkpointing", "--workload", "xsum-generate-b8"],
    "does not apply to workload xsum-generate-b8",
  ],
  [["--peer"], "--peer-dir is needed with --peer: the folder of peer.py"],
  [["--peer", "--peer-dir", "x"], "--peer needs --batches and --model"],
])("bench %p is refused with what to do", async (flags, message) => {
  const { code, stderr } = await bench(...flags);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
});
