import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../core/finding.ts";
import { buildEmulator } from "../../ffi/cuda/emulator/build.ts";
import { createEmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { controlEmulator } from "../../ffi/cuda/emulator/control.ts";
import { emulatedLibraries, hasCompiler } from "../cuda/emulated-libraries.ts";
import { available } from "../helpers/available.ts";
import type { Ended } from "../helpers/run-here.ts";
import { commandTest, lossesIn } from "./command.ts";

const { reason } = await available(async () => {
  const { backend } = await createEmulatedBackend();
  backend.close();
  return backend;
});
const { hinted, path, run, start, task, training } = commandTest();

/** Commands in this process leave their devices open: what other files find free stays the same. */
afterAll(async () => {
  if (reason !== undefined) return;
  const control = controlEmulator((await buildEmulator()).driver);
  control.set("memory", control.report().used + 2 ** 30);
});

const flags = { device: "cuda-host", "max-steps": 6, "eval-steps": 6, "save-steps": 2 };
const trained = (out: string) => readFileSync(join(out, "adapter", "adapter_model.safetensors"));

test.skipIf(reason !== undefined)(
  "a run on the emulated device trains, evaluates, and resumes with the same bits",
  async () => {
    const [whole, parts] = [path("whole"), path("parts")];
    const started = start(training({ ...flags, out: parts }));
    await started.signalAfter("step 3/6", "SIGINT");
    const interrupted = await started.ended;
    expect(interrupted.code).toBe(130);
    expect(existsSync(join(parts, "metrics.json"))).toBe(false);
    const resumed = await hinted(interrupted.stderr);
    expect([resumed.code, resumed.stderr]).toEqual([
      0,
      expect.stringMatching(/resuming after step \d+\n/),
    ]);
    const ended = await run(training({ ...flags, out: whole }));
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining("step 6/6")]);
    expect(trained(parts).equals(trained(whole))).toBe(true);
    expect(lossesIn(parts)).toEqual(lossesIn(whole));
    await expectSingularValues(join(whole, "adapter"));
  },
);

/** `inspect`, `export` and a run that starts from a LoRA say where singular values come from. */
async function expectSingularValues(adapter: string) {
  const line = "singular values: cuSOLVER 12.2 on cuda:0\n";
  const inspected = (device: string) => run(["inspect", adapter, "--json", "--device", device]);
  const [onCpu, onDevice] = [await inspected("reference"), await inspected("cuda-host")];
  expect([onCpu.stderr, onDevice.stderr]).toEqual(["", line]);
  const values = ({ stdout }: Ended): number[] =>
    JSON.parse(stdout).modules.flatMap(
      (module: { readonly singularValues: readonly number[] }) => module.singularValues,
    );
  expect(values(onDevice)).toEqual(values(onCpu).map((value) => expect.closeTo(value, 10)));
  const lora = path("lora");
  const words = ["export", adapter, "--to", "lora", "--canonical", "-o", lora];
  const exported = await run([...words, "--device", "cuda-host"]);
  expect([exported.code, exported.stderr]).toEqual([0, expect.stringContaining(line)]);
  const from = training({
    ...flags,
    "max-steps": 1,
    from: lora,
    method: "adalora",
    out: path("on"),
  });
  const ended = await run(from);
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining(line)]);
}

test.skipIf(reason !== undefined)(
  "a device that is lost in a run ends it with the call, what to do and exit code 1",
  async () => {
    const control = controlEmulator((await buildEmulator()).driver);
    control.reset();
    control.fail("cuLaunchKernel", 100, 999);
    const { code, stderr } = await run(training({ ...flags, out: path("lost") }));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/error +\[cuLaunchKernel /)]);
    expect(stderr).toContain("CUDA_ERROR_UNKNOWN (status 999)");
    expect(stderr).toContain("hint: nvidia-smi tells whether the device is lost; --resume");
  },
);

test.skipIf(reason !== undefined || !hasCompiler)(
  "doctor, plan and bench know the device: its libraries, its memory, its steps",
  async () => {
    const libraries = await emulatedLibraries(path("libraries"));
    controlEmulator(libraries.ADALORA_CUDA_DRIVER).set("memory", 2 ** 30); // other files change it
    const doctor = await run(["doctor", "--json"], libraries);
    const findings: Finding[] = JSON.parse(doctor.stdout).findings;
    const from = findings.findIndex(({ what }) => what === "CUDA device");
    expect(findings.slice(from).map(({ what, ok, found }) => [what, ok, found])).toEqual([
      ["CUDA device", true, expect.stringContaining("emulated device, 1.0 GiB, capability 8.0;")],
      ["NVRTC", true, `13.0, ${join(libraries.ADALORA_CUDA, "libnvrtc.so.13")}`],
      ["cuBLAS", true, expect.stringContaining(libraries.ADALORA_CUDA)],
      ["cuSOLVER", true, expect.stringMatching(/^optional; /)],
      ["CUDA kernels", true, expect.stringMatching(/^\d\d families in /)],
      ["self-test", true, expect.stringContaining("two AdaLoRA steps on cuda: largest relative ")],
    ]);
    expect(doctor.code).toBe(0);
    const plan = await run(["plan", ...training(flags).slice(1), "--json"]);
    const { machine, needs } = JSON.parse(plan.stdout);
    expect(machine.memory).toMatchObject({ kind: "own", weights: "resident", total: 2 ** 30 });
    expect(needs.memory).toBeGreaterThan(needs.weights + needs.training);
    await expectMeasured(libraries);
  },
);

/** `bench` of a device that computes nothing: its calls and its memory are all the same. */
async function expectMeasured(libraries: Awaited<ReturnType<typeof emulatedLibraries>>) {
  const control = controlEmulator(libraries.ADALORA_CUDA_DRIVER);
  control.reset();
  control.set("compute", 0);
  try {
    const once = ["--workload", "sst2-b32", "--steps", "1", "--warmup", "1", "--in-process"];
    const on = ["--device", "cuda", "--debug-sync", "--model", task.model];
    const bench = await run(["bench", ...on, "--json", ...once], libraries);
    expect(bench.stderr).toBe("");
    const { stepSeconds, deviceMib, gemmPeak } = JSON.parse(bench.stdout);
    expect([stepSeconds.length, deviceMib]).toEqual([1, 64]);
    expect(gemmPeak).toBeGreaterThan(0);
    const { waits, launches } = control.report();
    expect(waits).toBeGreaterThanOrEqual(launches); // --debug-sync
  } finally {
    control.set("compute", 1);
  }
}
