import { beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPeftAdapter } from "../../../core/io/peft.ts";
import { openSafetensors, writeSafetensors } from "../../../core/io/safetensors.ts";
import { float32Tensor, type StoredTensor } from "../../../core/io/stored-tensor.ts";
import { adaloraProcess } from "../../helpers/adalora-process.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";
import { failure, fixture, scratchFolder } from "./scratch.ts";

const root = scratchFolder();
const WEIGHTS = "adapter_model.safetensors";
const CONFIG = "adapter_config.json";
const FIRST = "base_model.model.deberta.encoder.layer.0.attention.output.dense.lora_A.weight";

let count = 0;

/** A copy of PEFT's LoRA, to be damaged. */
function copyOf(name = "peft-lora"): string {
  const dir = join(root, String(++count));
  cpSync(fixture(name), dir, { recursive: true });
  return dir;
}

/** An adapter whose configuration has another field; its text may have keys that an object can't. */
function withField(key: string, json: string, name?: string): string {
  const dir = copyOf(name);
  const path = join(dir, CONFIG);
  const { [key]: _, ...rest }: Record<string, unknown> = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify(rest).replace("{", `{"${key}":${json},`));
  return dir;
}

/** A LoRA with a hand-written header of its safetensors file. */
function withHeader(
  change: (header: Record<string, Record<string, unknown>>) => void,
  length?: bigint,
): string {
  const dir = copyOf();
  const path = join(dir, WEIGHTS);
  const bytes = readFileSync(path);
  const size = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + size));
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  writeFileSync(path, Buffer.concat([prefix, text, bytes.subarray(8 + size)]));
  return dir;
}

function withTensors(change: (tensors: Map<string, StoredTensor>) => void): string {
  const dir = copyOf();
  const path = join(dir, WEIGHTS);
  const { tensors } = openSafetensors(path);
  change(tensors);
  writeSafetensors(path, tensors);
  return dir;
}

/** A LoRA whose weights are a bare pickle that calls a function. */
function withPickle(module: string, name: string): string {
  const dir = copyOf();
  rmSync(join(dir, WEIGHTS));
  const call = `\x80\x02c${module}\n${name}\nX\x04\x00\x00\x00true\x85R.`;
  writeFileSync(join(dir, "adapter_model.bin"), Buffer.from(call, "latin1"));
  return dir;
}

const many = (keys: number, of: (i: number) => string) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: keys }, (_, i) => [of(i), 1])));

/** What is hostile, the folder, and what the refusal must name: file and key. */
const CASES: readonly (readonly [what: string, make: () => string, ...named: string[]])[] = [
  [
    "offsets that overlap",
    () => withHeader((h) => Object.assign(h[FIRST]!, { data_offsets: [16, 16 + 4 * 4 * 36] })),
    WEIGHTS,
    FIRST.slice(0, 40),
  ],
  [
    "offsets beyond any file",
    () =>
      withHeader((h) =>
        Object.assign(h[FIRST]!, { shape: [4, 2 ** 50], data_offsets: [0, 2 ** 54] }),
      ),
    WEIGHTS,
    "lora_A",
  ],
  ["a header of 2^62 bytes", () => withHeader(() => {}, 2n ** 62n), WEIGHTS, "header"],
  [
    "a pickle that runs a command",
    () => withPickle("os", "system"),
    "adapter_model.bin",
    "os.system",
  ],
  [
    "a pickle that evaluates code",
    () => withPickle("builtins", "eval"),
    "adapter_model.bin",
    "builtins.eval",
  ],
  [
    "a catastrophic rank_pattern",
    () =>
      withField(
        "rank_pattern",
        many(400, (i) => `${"(.*)*".repeat(60)}x${i}`),
      ),
    CONFIG,
    `"rank_pattern"`,
  ],
  [
    "a rank_pattern of 200,000 keys with dots",
    () =>
      withField(
        "rank_pattern",
        many(200_000, (i) => i.toString(2).replaceAll("0", ".").padStart(60, ".")),
      ),
    CONFIG,
    `"rank_pattern"`,
  ],
  [
    "an expression that grows when it is compiled",
    () => withField("target_modules", `"((a{1000}){1000}){1000}"`),
    CONFIG,
    `"target_modules"`,
  ],
  [
    "__proto__ among a LoRA's ranks",
    () => withField("rank_pattern", `{"__proto__": 4}`),
    CONFIG,
    "__proto__",
  ],
  [
    "__proto__ among alphas",
    () => withField("alpha_pattern", `{"__proto__": 4}`),
    CONFIG,
    "__proto__",
  ],
  [
    "__proto__ among an AdaLoRA's masks",
    () => withField("rank_pattern", `{"__proto__": [true]}`, "peft-adalora"),
    CONFIG,
    "__proto__",
  ],
  [
    "a rank of 2^53",
    () => withField("r", "9007199254740991"),
    WEIGHTS,
    "must have rank 9007199254740991",
  ],
  [
    "NaN",
    () => withTensors((t) => t.set(FIRST, float32Tensor([4, 36], new Float32Array(144).fill(NaN)))),
    WEIGHTS,
    FIRST,
    "not a finite number",
  ],
  [
    "nesting without end",
    () => withField("rank_pattern", "[".repeat(100_000) + "]".repeat(100_000)),
    CONFIG,
    "nested",
  ],
];

for (const [what, make, ...named] of CASES) {
  test(`an adapter with ${what} is refused with file and key, within a second`, () => {
    const dir = make();
    const started = cpuTime();
    const { message } = failure(() => readPeftAdapter(dir));
    expect(cpuTime() - started).toBeLessThan(1000);
    for (const text of named) expect(message).toContain(text);
    expect(message.length).toBeLessThan(1000);
    expect(message).not.toContain("\n");
  });
}

test("no prototype is polluted", () => {
  for (const [what, make] of CASES)
    if (what.includes("__proto__")) failure(() => readPeftAdapter(make()));
  expect(Object.keys({})).toEqual([]);
  expect(Reflect.get({}, "dense")).toBeUndefined();
});

let idle = 0;
beforeAll(async () => {
  mkdirSync(join(root, "empty"));
  idle = (await adaloraProcess(["eval", "--adapter", join(root, "empty")], join(root, "peak")))
    .peak;
});

for (const what of [
  "offsets beyond any file",
  "a header of 2^62 bytes",
  "a catastrophic rank_pattern",
  "NaN",
]) {
  test(`the command that reads ${what} needs no more than 200 MiB`, async () => {
    const dir = CASES.find(([name]) => name === what)![1]();
    const words = ["eval", "--adapter", dir, "--task", "rte", "--model", "none"];
    const { code, err, peak } = await adaloraProcess(words, join(root, "peak"));
    expect([code, err]).toEqual([1, expect.stringContaining(dir)]);
    expect(peak).toBeLessThan(Math.max(200 * 2 ** 20, idle + 100 * 2 ** 20));
  });
}
