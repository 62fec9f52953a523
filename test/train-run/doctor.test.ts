import { describe, expect, test } from "bun:test";
import { allowedDifference, selfTest } from "../../cli/doctor/self-test.ts";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { commandTest, cpu } from "./command.ts";

const { runProcess: run, path } = commandTest(); // libraries load once in a process

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
  readonly fix?: string;
}

async function findings(env: Record<string, string>): Promise<{ code: number; found: Finding[] }> {
  const { code, stdout } = await run(["doctor", "--json"], env);
  return { code, found: JSON.parse(stdout).findings };
}

describe("doctor", () => {
  test.skipIf(cpu.backend === undefined)("finds all that is needed, and tests it", async () => {
    const { code, stdout, stderr } = await run(["doctor"]);
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("all is well");
    expect(
      lines.slice(0, -2).map((line) => /^ok {4}([A-Za-z -]+?) {2,}\S/.exec(line)?.[1]),
    ).toEqual(
      "Bun/device/memory/runs/token cache/hub cache/tokenizers/CPU/kernels/OpenMP/oneDNN/self-test/CUDA".split(
        "/",
      ),
    );
  });

  test("says what is missing and how to get it, and exits with 1", async () => {
    const { code, found } = await findings({ ADALORA_DNNL: path("none.so") });
    expect(code).toBe(1);
    const library = found.find(({ what }) => what === "oneDNN");
    expect(library).toEqual({
      what: "oneDNN",
      ok: false,
      found: `cannot load oneDNN\n  ${path("none.so")}: no such file`,
      fix: expect.stringContaining("npm run setup fetches it"),
    });
    expect(found.find(({ what }) => what === "self-test")?.ok).toBe(false);
  });

  test.skipIf(cpu.backend === undefined)(
    "refuses what OpenMP's runtime would end the program for",
    async () => {
      const { code, stdout, stderr } = await run(["doctor"], { OMP_STACKSIZE: "10k" });
      expect([code, stderr]).toEqual([1, ""]);
      expect(stdout).toContain("fail  OpenMP       OMP_STACKSIZE must be 256K to 1G");
    },
  );

  test("tells where the caches are, and of a token only that there is one", async () => {
    const { found } = await findings({ HF_TOKEN: "hf_secret", HF_HOME: path("hf") });
    const hub = found.find(({ what }) => what === "hub cache")?.found;
    expect(hub).toMatch(/^\/.*\/hf\/hub, .* free, with a token, offline$/);
    expect(JSON.stringify(found)).not.toContain("hf_secret");
  });
});

describe("the self-test", () => {
  test("of the reference against itself is exact", () => {
    expect(selfTest(createReferenceBackend())).toBe(0);
  });

  const right = createReferenceBackend();
  const twice = (args: Parameters<Backend["adamw"]>) => [
    right.adamw(...args),
    right.adamw(...args),
  ];
  const unobserving: Backend = {
    ...right,
    adamw: (param, grad, m, v, step) => right.adamw(param, grad, m, v, step),
  };
  test.each([
    ["a wrong activation", { ...right, activate: (_, x, y) => right.activate("relu", x, y) }],
    ["a clip that does nothing", { ...right, clipByNorm: () => {} }],
    ["a number that is none", { ...right, addBias: (y) => right.scale(y, Number.NaN, y) }],
    ["importance that is never measured", unobserving],
    ["a decay that comes too often", { ...right, adamw: (...args) => twice(args) }],
  ] satisfies [string, Backend][])("finds %s", (_, backend) => {
    expect(selfTest(backend) > allowedDifference || Number.isNaN(selfTest(backend))).toBe(true);
  });
});
