import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { withFolder } from "../core/text/fixtures.ts";
import { checkFile } from "./check-text.ts";

const linear = {
  name: "linear",
  kwargs: {},
  base_lr: 0.001,
  num_warmup_steps: 1,
  num_training_steps: 3,
  lr: [0, 0.001, 0.0005, 0],
};
const ratio = { num_training_steps: 10, warmup_ratio: 0.33, warmup_steps: 4 };

/** Checks one file that a folder holds alone. */
function check(file: string, content: unknown) {
  const text = file.endsWith(".jsonl") ? `${JSON.stringify(content)}\n` : JSON.stringify(content);
  return withFolder({ [file]: text }, (dir) => checkFile({ dir, shared: dir }, file));
}

describe("the checker of text goldens", () => {
  test("passes what agrees, with the worst error of each quantity", async () => {
    const verdict = await check("schedules.json", { schedules: [linear], warmup_ratio: [ratio] });
    expect(verdict).toEqual({ status: "pass", worst: { lr: 0, warmup_steps: 0 } });
  });

  test("fails on a rate that is off, and says where", async () => {
    const off = { ...linear, lr: [0, 0.001, 0.00051, 0] };
    const verdict = await check("schedules.json", { schedules: [off], warmup_ratio: [ratio] });
    expect(verdict.status).toBe("fail");
    expect(verdict.reason).toBe("linear {} 1/3 step 2: lr is 0.5, not 0.51");
    expect(verdict.worst["lr"]).toBeCloseTo(0.01, 10);
  });

  test("fails on an error that ours doesn't have", async () => {
    const failing = { ...linear, lr: [0], error: "ZeroDivisionError: division by zero" };
    const verdict = await check("schedules.json", { schedules: [failing], warmup_ratio: [] });
    expect(verdict.status).toBe("fail");
    expect(verdict.worst).toEqual({ lr: 0, error: 1 });
  });

  test("fails on a file without records, and on one that is not JSON", async () => {
    expect(await check("schedules.json", { schedules: [], warmup_ratio: [] })).toEqual({
      status: "fail",
      reason: "no records in the file",
      worst: {},
    });
    const verdict = await withFolder({ "glue.jsonl": "{" }, (dir) =>
      checkFile({ dir, shared: dir }, "glue.jsonl"),
    );
    expect(verdict.status).toBe("fail");
  });

  test("fails when the tokenizers aren't where --shared says", async () => {
    const verdict = await check("decode-deberta.jsonl", { id: "d0", ids: [], text: "" });
    expect(verdict.status).toBe("fail");
    expect(verdict.reason).toContain(
      "tokenizers/deberta-v3 does not exist: name its parent with --shared",
    );
  });

  test("skips, with a reason, what it doesn't know", async () => {
    const verdict = await check("toString", {});
    expect(verdict).toEqual({ status: "skip", reason: "no check knows this file", worst: {} });
  });

  test("clipping is held to the norm and to every gradient", async () => {
    const clip = { max_norm: 1, grads: [[3], [4]], total_norm: 5, clipped: [[0.6], [0.8]] };
    // torch divides by norm + 1e-6
    const exact = { ...clip, clipped: [[3 / (5 + 1e-6)], [4 / (5 + 1e-6)]] };
    expect((await check("clip-grad-norm.json", [exact])).status).toBe("pass");
    const verdict = await check("clip-grad-norm.json", [clip]);
    expect(verdict.status).toBe("fail");
    expect(verdict.worst["clipped"]).toBeGreaterThan(1e-7);
  });

  test("a folder is held to its manifest", async () => {
    const sha256 = new Bun.CryptoHasher("sha256").update("[]").digest("hex");
    const files = (bytes: number, name = "a.json") => ({
      "a.json": "[]",
      "MANIFEST.json": JSON.stringify({ [name]: { bytes, sha256 } }),
    });
    const verdict = (content: Record<string, string>) =>
      withFolder(content, (dir) => checkFile({ dir, shared: dir }, "MANIFEST.json"));
    expect((await verdict(files(2))).status).toBe("pass");
    expect((await verdict(files(3))).worst["bytes"]).toBe(1);
    expect((await verdict(files(2, "b.json"))).worst["present"]).toBe(1);
  });
});

const shared = process.env["ADALORA_SHARED"];
const goldens = shared === undefined ? undefined : join(shared, "goldens-text");

describe.skipIf(goldens === undefined || !existsSync(goldens))(
  "ADALORA_SHARED's text goldens",
  () => {
    const files =
      goldens === undefined || !existsSync(goldens) ? [] : readdirSync(goldens).toSorted();
    test.each(files)("%s", async (file) => {
      const verdict = await checkFile({ dir: goldens ?? "", shared: shared ?? "" }, file);
      expect(verdict).not.toMatchObject({ status: "fail" });
    });
  },
);
