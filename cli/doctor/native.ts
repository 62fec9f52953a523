import { availableParallelism, cpus } from "node:os";
import { errors } from "../../core/errors.ts";
import { nativeFromJson } from "../../core/text/native-tokenizer.ts";
import { specialToken } from "../../core/text/tokenizer-json.ts";
import { kernelLibrary } from "../../ffi/cpu/build.ts";
import { openDnnl } from "../../ffi/cpu/dnnl.ts";
import { cpuFlags, usableLevels } from "../../ffi/cpu/isa.ts";
import { openOpenMp } from "../../ffi/cpu/openmp.ts";
import { openBackend } from "../backend.ts";
import { type Finding, look } from "./finding.ts";
import { allowedDifference, selfTest } from "./self-test.ts";

/** Everything that the CPU backend is made of, in the order in which it is loaded, and a test of the whole. */
export async function nativeFindings(): Promise<readonly Finding[]> {
  let openmp: string | undefined;
  return [
    await look("CPU", describeCpu),
    await look("kernels", async () => {
      const library = await kernelLibrary();
      ({ openmp } = library);
      return `${library.level}, ${library.path}`;
    }),
    await look("OpenMP", () => {
      const runtime = openOpenMp(openmp);
      return `${runtime.threads()} threads, ${runtime.path}`;
    }),
    await look("oneDNN", () => {
      const { version, path } = openDnnl();
      return `${version}, ${path}`;
    }),
    await look("tokenizers", describeTokenizers),
    await look("self-test", testBackend),
  ];
}

// --- internal ---

function describeCpu(): string {
  const flags = cpuFlags();
  const level = usableLevels(flags).at(-1) ?? "none";
  const extras = [
    flags.has("avx512_bf16") ? "bf16" : "no bf16",
    flags.has("amx_bf16") ? "AMX" : "no AMX",
  ];
  const model = cpus()[0]?.model.trim() ?? "unknown";
  return `${model}, ${availableParallelism()} cores, ${[level, ...extras].join(", ")}`;
}

/** Builds a tokenizer of two pieces and uses it. */
async function describeTokenizers(): Promise<string> {
  const native = await nativeFromJson(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [specialToken(0, "[UNK]", { normalized: false })],
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
      model: {
        type: "Unigram",
        unk_id: 0,
        vocab: [
          ["[UNK]", 0],
          ["ab", -1],
        ],
        byte_fallback: false,
      },
    },
    "the self-test's tokenizer",
  );
  const { length } = (await native.encode("abab")).getIds();
  if (length === 2) return "the native library splits text as it should";
  throw errors.machine(`the native library makes ${length} tokens of 2`, "npm run setup");
}

async function testBackend(): Promise<string> {
  const started = performance.now();
  const backend = await openBackend({ device: "cpu", dtype: "f32", threads: null });
  const difference = selfTest(backend);
  const text = `largest relative difference from the reference backend ${difference.toExponential(1)}`;
  if (!(difference <= allowedDifference)) {
    throw errors.machine(
      `${text}, ${allowedDifference} is allowed`,
      "another oneDNN may be at fault (ADALORA_DNNL names one), or a higher instruction set: try ADALORA_ISA=avx2",
    );
  }
  return `two AdaLoRA steps: ${text}, ${Math.round(performance.now() - started)} ms`;
}
