import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type RunConfig, resolveConfig } from "../../../core/config/run-config.ts";
import { errors } from "../../../core/errors.ts";
import { executeRun } from "../../../core/run/execute.ts";
import { prepareRun } from "../../../core/run/prepare.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { localSources } from "../../helpers/local-run.ts";
import { ownCache } from "../../helpers/own-cache.ts";

ownCache();
const tiny = tinyTask();
const folder = mkdtempSync(join(tmpdir(), "execute-"));
afterAll(() => [tiny.folder, folder].forEach((dir) => rmSync(dir, { recursive: true })));

function configOf(values: Partial<RunConfig>): RunConfig {
  const base = { task: "rte", model: tiny.model, data: tiny.data, device: "reference" } as const;
  const schedule = { maxSteps: 6, batchSize: 8, initRank: 3, targetRank: 1 } as const;
  return resolveConfig([{ values: { ...base, ...schedule, ...values }, name: String }]);
}

/** A run whose memory ends after `steps` steps. */
async function run(out: string, steps: number): Promise<void> {
  const prepared = await prepareRun(configOf({}), localSources);
  const backend = createReferenceBackend();
  let left = steps;
  const endMemory = () => {
    if (left-- > 0) return;
    backend.alloc = () => {
      throw errors.memory(2 ** 31, 2 ** 30);
    };
  };
  const observer = {
    start: { onProgress() {}, onWarning() {} },
    onLoaded: endMemory,
    onResume() {},
    onStep: endMemory,
    onEvaluation() {},
    onCheckpoint() {},
    stopRequested: () => false,
  };
  await executeRun(backend, prepared, { out, resume: false, overwrite: false }, observer);
}

describe("a run for which memory is too small", () => {
  const message = "out of memory: cannot allocate 2.00 GiB with 1.00 GiB in use";

  test("leaves no folder if it ends before its first step is done", async () => {
    const out = join(folder, "a", "b");
    await expect(run(out, 0)).rejects.toThrow(message);
    expect(existsSync(join(folder, "a"))).toBe(false);
  });

  test("leaves other files where they were", async () => {
    const out = join(folder, "own");
    mkdirSync(out);
    await expect(run(out, 0)).rejects.toThrow(message);
    expect(existsSync(out)).toBe(true); // it was there before
    writeFileSync(join(out, "notes.txt"), "mine");
    await expect(run(out, 0)).rejects.toThrow(message);
    expect(readdirSync(out)).toEqual(["notes.txt"]);
  });

  test("keeps its log if it ends later", async () => {
    const out = join(folder, "later");
    await expect(run(out, 2)).rejects.toThrow(message);
    expect(readdirSync(out)).toContain("log.jsonl");
  });
});
