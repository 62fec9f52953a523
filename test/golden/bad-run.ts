import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runHere } from "../helpers/run-here.ts";

const program = resolve(import.meta.dir, "../../cli/main.ts");

/** A model folder that passes for one until weights or tokens are needed: bad data must be refused before. */
const modelConfig = {
  model_type: "deberta-v2",
  vocab_size: 32,
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 16,
  max_position_embeddings: 512,
  relative_attention: true,
  position_biased_input: false,
};

/**
 * Runs `adalora run` on a bad file, alone in an empty folder and with an empty cache. Returns what is wrong with it:
 * anything but exit 1, the reader's message on stderr, no stack, and nothing written.
 */
export async function badRunFaults(task: string, file: string, message: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "adalora-bad-"));
  const home = join(folder, "home");
  const model = join(folder, "model");
  try {
    mkdirSync(home);
    mkdirSync(model);
    writeFileSync(join(model, "config.json"), JSON.stringify(modelConfig));
    writeFileSync(join(model, "tokenizer.json"), "{}");
    const args = ["run", task, "--data", resolve(file), "--model", model, "--out", "out"];
    const path = process.env["PATH"] ?? "";
    const env = { PATH: path, HOME: home, XDG_CACHE_HOME: join(home, "cache") };
    const { code, stderr } = await runHere(args, { program, cwd: home, env });
    const written = readdirSync(home);
    return [
      ...(code === 1 ? [] : [`adalora run exits with ${code}, not 1`]),
      ...(stderr.includes(message) ? [] : [`adalora run says: ${stderr.trim()}`]),
      ...(/^\s+at /m.test(stderr) ? ["adalora run prints a stack"] : []),
      ...(written.length === 0 ? [] : [`adalora run writes ${written.join(", ")}`]),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
