import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deviceFor } from "../../../cli/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type RunConfig, resolveConfig } from "../../../core/config/run-config.ts";
import { openSafetensors } from "../../../core/io/safetensors.ts";
import { executeRun } from "../../../core/run/execute.ts";
import { runNeeds } from "../../../core/run/needs.ts";
import { inspectRun, prepareRun } from "../../../core/run/prepare.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { localSources } from "../../helpers/local-run.ts";
import { ownCache } from "../../helpers/own-cache.ts";

ownCache();
const tiny = tinyTask();
const folder = mkdtempSync(join(tmpdir(), "eva-"));
afterAll(() => [tiny.folder, folder].forEach((dir) => rmSync(dir, { recursive: true })));

function configOf(values: Partial<RunConfig>): RunConfig {
  const base = { task: "rte", model: tiny.model, data: tiny.data, device: "reference" } as const;
  const schedule = { maxSteps: 12, batchSize: 4, initRank: 3, targetRank: 1, lr: 0.01 } as const;
  const own = { start: "eva", saveSteps: 3, loraDropout: 0.1 } as const;
  return resolveConfig([{ values: { ...base, ...schedule, ...own, ...values }, name: String }]);
}

interface Followed {
  readonly stoppedBy: string;
  readonly starting: readonly string[];
  readonly warnings: readonly string[];
}

/** `killAfter`: steps after which the run dies without a word. */
async function run(
  out: string,
  values: Partial<RunConfig> = {},
  { resume = false, killAfter = Infinity, stopAtBatch = Infinity } = {},
): Promise<Followed> {
  const prepared = await prepareRun(configOf(values), localSources);
  const [starting, warnings]: string[][] = [[], []];
  let steps = 0;
  const watcher = {
    start: {
      onProgress: (message: string) => void starting?.push(message),
      onWarning: (message: string) => void warnings?.push(message),
      stopRequested: () => (starting?.length ?? 0) >= stopAtBatch,
    },
    onLoaded() {},
    onResume() {},
    onStep() {
      if (++steps > killAfter) throw new Error("killed");
    },
    onEvaluation() {},
    onCheckpoint() {},
    stopRequested: () => false,
  };
  const options = { out: join(folder, out), resume, overwrite: false };
  const execution = executeRun(createReferenceBackend(), prepared, options, watcher);
  const stoppedBy = await execution.then(
    (result) => result.stoppedBy,
    (error: Error) => error.message,
  );
  return { stoppedBy, starting: starting ?? [], warnings: warnings ?? [] };
}

const adapterFile = (out: string) => join(folder, out, "adapter/adapter_model.safetensors");
const adapterBytes = (out: string) => readFileSync(adapterFile(out)).toString("hex");

let whole: Followed;
beforeAll(async () => {
  whole = await run("whole");
});

describe("a run with --start eva", () => {
  test("says how many inputs have converged, and warns of those that have not after an epoch", () => {
    expect(whole.stoppedBy).toBe("end");
    expect(whole.starting[0]).toBe("start eva: batch 1, 0 of 8 inputs converged");
    expect(whole.starting).toHaveLength(5); // 20 rows in batches of 4
    expect(whole.starting[4]).toBe("start eva: batch 5, 6 of 8 inputs converged");
    expect(whole.warnings).toEqual([
      "start eva: 2 of 12 modules had not converged after 5 batches",
    ]);
  });

  test("trains another adapter than the paper's start", async () => {
    await run("paper", { start: "paper" });
    expect(adapterBytes("paper")).not.toBe(adapterBytes("whole"));
  });

  test("trains LoRA too, from B = 0", async () => {
    const { stoppedBy } = await run("lora", { method: "lora", targetRank: null, maxSteps: 1 });
    expect(stoppedBy).toBe("end");
    const { tensors } = openSafetensors(adapterFile("lora"));
    expect([...tensors.keys()].some((name) => name.includes("lora_A"))).toBe(true);
  });
});

test("a run that is stopped during its start stops after a batch, and leaves no checkpoint", async () => {
  const { stoppedBy, starting } = await run("stopped", {}, { stopAtBatch: 2 });
  expect([stoppedBy, starting.length]).toEqual(["stopped on request", 2]);
  expect(existsSync(join(folder, "stopped"))).toBe(false);
});

describe("a run with --start eva that is killed", () => {
  test("is resumed to the same bits, without a second start", async () => {
    expect((await run("killed", {}, { killAfter: 7 })).stoppedBy).toBe("killed");
    const { stoppedBy, starting } = await run("killed", {}, { resume: true });
    expect([stoppedBy, starting]).toEqual(["end", []]);
    expect(adapterBytes("killed")).toBe(adapterBytes("whole"));
  });

  test("starts once more where no checkpoint is whole, to the same bits", async () => {
    await run("damaged", {}, { killAfter: 7 });
    const checkpoints = join(folder, "damaged/checkpoints");
    for (const step of readdirSync(checkpoints))
      truncateSync(join(checkpoints, step, "state.safetensors"), 100);
    const { stoppedBy, starting } = await run("damaged", {}, { resume: true });
    expect([stoppedBy, starting]).toEqual(["end", whole.starting]);
    expect(adapterBytes("damaged")).toBe(adapterBytes("whole"));
  });
});

test("a rank above a layer's inputs is rejected before anything is computed", async () => {
  const { problems } = await inspectRun(configOf({ initRank: 17 }), localSources);
  expect(problems.map(({ message, code }) => [code, message])).toEqual([
    [
      "E_FLAG",
      "--init-rank must be at most 16 with --start eva, got 17: deberta.encoder.layer.0.attention.self.query_proj has 16 inputs",
    ],
  ]);
  const paper = await inspectRun(configOf({ initRank: 17, start: "paper" }), localSources);
  expect(paper.problems.map(({ message }) => message)).toEqual([
    "--init-rank 17 is rank 17 in each of 12 matrices: the largest that they can have is 16",
  ]);
});

test("what a run needs is counted without a start", async () => {
  const prepared = await prepareRun(configOf({}), localSources);
  const values = () => {
    throw new Error("the start has run");
  };
  const memory = await deviceFor(prepared.config).memoryModel("f32");
  const { training } = await runNeeds(
    { ...prepared, start: { ...prepared.start, values } },
    memory,
  );
  expect(training).toBeGreaterThan(0);
});
