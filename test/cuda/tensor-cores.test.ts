import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { openNvrtc } from "../../ffi/cuda/nvrtc.ts";
import { kernelSources, kernelsDir } from "../../ffi/cuda/sources.ts";
import { nvrtcCandidates } from "./registers.ts";

const FOLDER = join(import.meta.dir, "tensor-cores");
const EMULATOR = join(kernelsDir, "../emulator");
const CXX = process.env["CXX"] ?? "g++";

interface Run {
  readonly fault: number;
  readonly order: number;
  readonly early: number;
  readonly wrong: number;
}

/** Compiles main.cpp and reads its lines. */
function runAll(): Run[] {
  const space = mkdtempSync(join(tmpdir(), "adalora-tensor-cores-"));
  try {
    const program = join(space, "main");
    const includes = [EMULATOR, kernelsDir].flatMap((dir) => ["-I", dir]);
    const source = join(FOLDER, "main.cpp");
    const env = { ...process.env, LD_PRELOAD: "" };
    const flags = ["-std=c++17", "-O1", "-o", program, ...includes];
    const compiled = Bun.spawnSync([CXX, source, ...flags], { env });
    expect(compiled.stderr.toString()).toBe("");
    const lines = Bun.spawnSync([program]).stdout.toString().trim().split("\n");
    return lines.map((line) => {
      const [fault = -1, order = -1, early = -1, wrong = -1] = line.split(" ").map(Number);
      return { fault, order, early, wrong };
    });
  } finally {
    rmSync(space, { recursive: true, force: true });
  }
}

test.skipIf(Bun.which(CXX) === null)(
  "tensor cores, ldmatrix and cp.async do as a device does, in every order",
  () => {
    const runs = runAll();
    expect(runs.length).toBe(36);
    const wrong = (fault: number) => runs.filter((run) => run.fault === fault && run.wrong !== 0);
    expect(wrong(0)).toEqual([]);
    // Without the wait every order shows it, as long as copies are late.
    expect(wrong(1).filter(({ early }) => early === 0).length).toBe(6);
    // Without the barrier those orders do in which a warp runs ahead.
    expect(wrong(2).length).toBeGreaterThan(0);
  },
);

const candidates = nvrtcCandidates();
test.skipIf(candidates.length === 0)("the wrappers are PTX of compute capability 8.0", () => {
  const headers = kernelSources()[0]?.headers ?? new Map<string, string>();
  const file = join(FOLDER, "products.cu");
  const source = { name: basename(file), text: readFileSync(file, "utf8"), headers };
  const { image } = openNvrtc(candidates).compile(source, { capability: 80, kind: "ptx" });
  const ptx = Buffer.from(image).toString();
  for (const instruction of [
    "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
    "ldmatrix.sync.aligned.m8n8.x4.shared.b16",
    "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16",
    "cp.async.cg.shared.global",
    "cp.async.wait_group 1",
    "cvt.rn.bf16x2.f32",
  ])
    expect(ptx).toContain(instruction);
});
