import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { available } from "../helpers/available.ts";
import { checkCase } from "./check.ts";
import { readGoldenCase } from "../../core/model/golden-case.ts";

const cases = join(import.meta.dir, "cases");
const names = readdirSync(cases, { withFileTypes: true })
  .flatMap((entry) => (entry.isDirectory() ? entry.name : []))
  .toSorted();

/** Of questions with both losses: padded positions counted, and tokens alone. */
const spanDue = ["", "_tokens"].flatMap((tag) => [`gradients${tag}`, `logits${tag}`, `loss${tag}`]);

/** What each kind of case must compare: a check that compares less would pass by silence. */
function dueOf(name: string, dtype: string): readonly string[] {
  if (name === "01-hub-style-fp16-bin") return ["hidden"];
  if (name === "07-modernbert-span") return spanDue;
  if (/^07-modernbert-(mean|regression)/.test(name)) return ["gradients", "logits", "loss"];
  if (/^0[12]|07-modernbert-cls/.test(name)) return ["gradients", "hidden", "logits", "loss"];
  if (name === "03-qa-types") return ["gradients", "logits", "loss"];
  const texts = dtype === "bf16" ? ["exact_scores", "texts"] : ["texts", "tokens"];
  if (name === "04-generate") return [...texts, "scores"];
  if (name.startsWith("04")) {
    const outputs = ["decoder_input_ids", "gradients", "hidden", "logits", "loss"];
    const smooth = name !== "04-bart-prefixless";
    return smooth ? [...outputs, "gradients_smooth", "loss_smooth"] : outputs;
  }
  if (name.startsWith("06-peft-lora-qa")) {
    const training = ["adapter", "base_only", "lr", "peft_loss"];
    return dtype === "bf16" ? training : [...training, "final", "grad_norm"];
  }
  if (name.startsWith("06-peft-adalora-qa")) {
    const training = ["adapter", "base_only", "budget", "lr", "peft_loss"];
    if (dtype === "bf16") return training;
    const whole = [...training, "final", "grad_norm", "nonzero_E"];
    return name.endsWith("float32") ? whole : [...whole, "ranknum"]; // PEFT trains it in the other
  }
  if (name.startsWith("06")) {
    const files = ["adapter", "base_only", "lora_adapter"];
    if (name.endsWith("bart")) files.push(...texts);
    const training = ["budget", "lr", "peft_loss"];
    const whole = dtype === "bf16" ? [] : ["final", "grad_norm", "nonzero_E", "ranknum"];
    return [...files, ...training, ...whole];
  }
  if (name === "05-bucket-table") return ["non_negative", "non_positive"];
  if (name === "05-masking-table")
    return ["exp_avg_ipt", "exp_avg_unc", "kept", "scores", "threshold", "unpruned"];
  if (name === "05-schedule-table") return ["budget", "mask", "raises"];
  const own = name === "05-adalora-own-modules" || name === "07-modernbert-adalora"; // scalars, masks and final tensors alone
  if (dtype === "bf16")
    return ["budget", ...(own ? [] : ["gradients"]), "lr", "orth_loss", "task_loss"];
  const scalars = ["grad_norm", "lr", "orth_loss", "task_loss", "threshold"];
  if (own) return ["budget", "final", "kept", ...scalars];
  const training = ["budget", "final", "gradients", ...scalars];
  if (name.startsWith("05-lora")) return training;
  return [...training, "E_trajectory", "exp_avg_ipt", "exp_avg_unc", "kept"];
}

function runCases(backend: Backend, dtype: string): void {
  for (const name of names)
    test(`${backend.name} ${dtype}: ${name}`, async () => {
      const result = await checkCase(backend, readGoldenCase(join(cases, name)), dtype);
      expect(result).toMatchObject({ status: "pass" });
      expect(Object.keys(result.worst ?? {}).toSorted()).toEqual(
        [...dueOf(name, dtype)].toSorted(),
      );
    });
}

describe("goldens", () => {
  test("are there", () => expect(names).toHaveLength(28));

  runCases(createReferenceBackend(), "f64");
});

const cpu = await available(() => createCpuBackend({ threads: 2 }));
if (cpu.backend) runCases(cpu.backend, "f32");
else test.skip(`goldens on the cpu (${cpu.reason})`, () => {});

const bf16 = await available(() => createCpuBackend({ threads: 2, dtype: "bf16" }));
if (bf16.backend) runCases(bf16.backend, "bf16");
else test.skip(`goldens on the cpu in bf16 (${bf16.reason})`, () => {});
