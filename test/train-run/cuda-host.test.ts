import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createEmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { available } from "../helpers/available.ts";
import type { Ended } from "../helpers/run-here.ts";
import { commandTest, lossesIn } from "./command.ts";

const { reason } = await available(async () => {
  const { backend } = await createEmulatedBackend();
  backend.close();
  return backend;
});
const { hinted, path, run, start, training } = commandTest();

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
