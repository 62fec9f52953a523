import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import {
  checkBackend,
  deviceFor,
  deviceSetting,
  openBackend,
  resolveDtype,
} from "../../cli/backend.ts";
import { devices } from "../../cli/devices.ts";
import { deviceFindings } from "../../cli/doctor/devices.ts";
import { makePlan } from "../../cli/make-plan.ts";
import { planJson, planText } from "../../cli/plan-text.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { referenceDevice } from "../../core/backend/reference/device.ts";
import { resolveConfig } from "../../core/config/run-config.ts";
import type { Device } from "../../core/device.ts";
import { runNeeds } from "../../core/run/needs.ts";
import { prepareRun } from "../../core/run/prepare.ts";
import { maxThreads } from "../../core/thread-limit.ts";
import { runOn } from "../conformance/bench.ts";
import { cases } from "../conformance/cases.ts";
import { localSources } from "../helpers/local-run.ts";
import { abacus } from "../helpers/outside-device.ts";
import { fakeOutput } from "./fake-output.ts";
import { tinyTask } from "./tiny-task.ts";

const MIB = 2 ** 20;

/** One that this machine can't run at all. */
const broken: Device = { ...abacus, name: "broken", refusal: () => "there is none here" };

const options = { device: "abacus", dtype: "auto", threads: null } as const;
const among = [broken, abacus, ...devices];

describe("a device that is added to the list", () => {
  test("is a value of --device, described in the help", () => {
    const setting = deviceSetting(among);
    expect(setting.hint).toBe("auto|broken|abacus|cpu|cuda|reference");
    expect(setting.about).toContain("; abacus: beads on wires; ");
    expect(setting.read("abacus")).toBe("abacus");
    expect(deviceSetting().read("abacus")).toBeUndefined();
  });

  test("opens by its name, and computes what the reference does", async () => {
    const backend = await openBackend(options, among);
    expect(backend.name).toBe("abacus");
    const reference = createReferenceBackend();
    const some = cases.filter(({ entry }) => entry === "gemm" || entry === "adamw");
    expect(some.length).toBeGreaterThan(5);
    for (const { run } of some) expect(runOn(backend, run)).toEqual(runOn(reference, run));
  });

  test("may be one of several alike, or for tests only", () => {
    const several: Device = { ...abacus, numbered: (n) => ({ ...abacus, name: `abacus:${n}` }) };
    const hidden: Device = { ...abacus, name: "secret", hidden: true };
    const list = [several, hidden];
    const setting = deviceSetting(list);
    expect(setting.hint).toBe("auto|abacus");
    expect(setting.about).not.toContain("secret");
    for (const name of ["abacus", "abacus:2", "secret"]) {
      expect(setting.read(name)).toBe(name);
      expect(deviceFor({ device: name, dtype: "f32" }, list).name).toBe(name);
    }
    for (const name of ["secret:1", "abacus:", "abacus:x", "other:1"])
      expect(setting.read(name)).toBeUndefined();
  });

  test("decides what --dtype auto is, and refuses what it can't run", () => {
    expect(resolveDtype(options, among)).toBe("f32");
    const check = (device: string, dtype: "f32" | "bf16") => () =>
      checkBackend({ device, dtype }, among);
    expect(check("abacus", "f32")).not.toThrow();
    expect(check("abacus", "bf16")).toThrow("--dtype must be f32: its beads are too coarse");
    expect(check("broken", "f32")).toThrow(
      "--device can't be broken on this machine: there is none here",
    );
    expect(check("none", "f32")).toThrow(
      '--device must be one of auto, broken, abacus, cpu, cuda, reference, got "none"',
    );
    expect(check("reference", "bf16")).toThrow(
      "--dtype must be f32 with --device reference, got bf16",
    );
  });

  test("is refused more threads than the machine can use", () => {
    const check = (threads: number | null) => () =>
      checkBackend({ device: "abacus", dtype: "f32", threads }, among);
    for (const threads of [null, 1, maxThreads()]) expect(check(threads)).not.toThrow();
    expect(check(maxThreads() + 1)).toThrow(`--threads must be at most ${maxThreads()} on this`);
  });

  test("is what auto picks where it is the first that works", () => {
    const auto = (list: readonly Device[]) =>
      deviceFor({ device: "auto", dtype: "f32" }, list).name;
    expect(auto(among)).toBe("abacus");
    expect(auto([referenceDevice, broken, abacus])).toBe("abacus");
    expect(auto([referenceDevice, broken])).toBe("broken"); // whose refusal is the error then
    expect(auto(devices)).toBe("cpu");
  });

  test("is checked and tested by doctor, where this machine can run it", async () => {
    const findings = await deviceFindings([broken, abacus, referenceDevice]);
    expect(findings.map(({ what, ok }) => [what, ok])).toEqual([
      ["beads", true],
      ["beads", true],
      ["self-test", true],
    ]);
    expect(findings[2]?.found).toStartWith(
      "two AdaLoRA steps on abacus: largest relative difference from the reference backend 0.0e+0",
    );
  });

  test("that computes wrong fails doctor's self-test with its own hint", async () => {
    const wrong: Device = {
      ...abacus,
      open: () => Promise.resolve({ ...createReferenceBackend(), clipByNorm: () => {} }),
    };
    const [, selfTest] = await deviceFindings([wrong]);
    expect(selfTest).toMatchObject({ ok: false, fix: "count again" });
  });
});

describe("a plan", () => {
  const task = tinyTask();
  afterAll(() => rmSync(task.folder, { recursive: true }));

  const runOnAbacus = async () => {
    const values = { task: "rte", model: task.model, data: task.data, device: "abacus" };
    const config = resolveConfig([{ values: { ...values, maxSteps: 6 }, name: String }]);
    return prepareRun(config, localSources);
  };
  const output = fakeOutput({ columns: 200 });

  test("counts by the model of the run's device: weights and blocks in its own memory", async () => {
    const run = await runOnAbacus();
    const needs = await runNeeds(run, await abacus.memoryModel("f32"));
    expect(needs.training).toBeGreaterThan(0);
    const own = needs.memory - 7 * MIB;
    // Adopted weights are in the device's memory; small blocks begin at 256 bytes.
    expect(own).toBeGreaterThan(needs.weights + needs.training);
    expect(own).toBeLessThan(1.2 * (needs.weights + needs.training));
  });

  test("shows the device's memory, and warns where it is too little", async () => {
    const run = await runOnAbacus();
    const plan = await makePlan(run, { samples: 0, among });
    const memory = await abacus.memory();
    expect(plan.machine).toMatchObject({ device: "abacus", memory: memory! });
    expect(planText(plan, output)).toMatch(
      /memory +about 8\.\d MiB of 64\.0 MiB free on the device \(96\.0 MiB in all\): \d/,
    );
    expect(planJson(plan)).toMatchObject({ machine: { memory: { free: 64 * MIB } } });
    expect(plan.warnings.join()).not.toContain("memory");
    const small: Device = { ...abacus, memory: async () => ({ ...memory!, free: 7 * MIB }) };
    const { warnings } = await makePlan(run, { samples: 0, among: [small, ...devices] });
    expect(warnings.at(-1)).toMatch(
      /^the run may need 8\.\d MiB of the device's memory, but only 7\.0 MiB are free/,
    );
    const absent: Device = { ...abacus, memory: async () => undefined };
    const unknown = await makePlan(run, { samples: 0, among: [absent] });
    expect(unknown.machine.memory).toBeUndefined();
    expect(planText(unknown, output)).toMatch(/memory +about 8\.\d MiB: /);
  });
});
