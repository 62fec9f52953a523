import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resumeNewest, saveCheckpoint, stepsIn } from "../../../core/train/checkpoint.ts";
import { tinyAllocator } from "../../helpers/tiny-model.ts";
import {
  resultOf,
  type TinyRunOptions,
  stateOf,
  tinyProgress,
  tinySetup,
  train,
} from "../../helpers/tiny-run.ts";

let dir = "";
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "checkpoint-"))));
afterEach(() => rmSync(dir, { recursive: true }));

const create = (run: Partial<TinyRunOptions> = {}) => tinySetup({ checkpointDir: dir, ...run });

const file = (step: number, name: string) => join(dir, `step-${step}`, name);

describe("resume is bit-identical, with dropout, accumulation and in the middle of an epoch", () => {
  const methods = ["adalora", "lora", "prune-lora"] as const;
  for (const method of methods)
    for (const how of ["stopped after 5 steps", "killed after 7"] as const)
      test(`${method}, ${how}`, async () => {
        const allocator = method === "lora" ? undefined : tinyAllocator;
        const run = {
          model: { method, dropout: 0.2 },
          trainer: { allocator, orthogonality: method === "adalora" ? 0.1 : 0 },
        };
        const uninterrupted = create({ ...run, checkpointDir: join(dir, "uninterrupted") });
        const expected = await train(uninterrupted);

        const first = create(run);
        if (how.startsWith("stopped")) {
          expect((await train(first, { stopAfter: 5 })).outcome).toMatchObject({
            steps: 5,
            stoppedBy: "interrupt",
          });
        } else await expect(train(first, { killAfter: 7 })).rejects.toThrow("killed");

        const second = create(run);
        const rest = await train(second, { resume: true });
        const from = how.startsWith("stopped") ? 5 : 4;
        expect(rest.resumed.map(({ progress }) => progress?.step)).toEqual([from]);
        expect(rest.reports).toEqual(expected.reports.slice(from));
        expect(resultOf(rest.outcome)).toEqual(resultOf(expected.outcome));
        expect(stateOf(second.backend, second)).toEqual(
          stateOf(uninterrupted.backend, uninterrupted),
        );
        expect(second.trainer.kept()).toEqual(uninterrupted.trainer.kept());
        expect(second.trainer.passes).toBe(uninterrupted.trainer.passes);
      });

  test("restores everything immediately, including the ranks of the last mask", async () => {
    const first = create();
    await train(first, { stopAfter: 5 });
    expect(first.trainer.kept().flat().filter(Boolean)).toHaveLength(23);
    const second = create();
    resumeNewest(dir, second.backend, second.trainer, "this run");
    expect(stateOf(second.backend, second)).toEqual(stateOf(first.backend, first));
    expect(second.trainer.kept()).toEqual(first.trainer.kept());
  });
});

describe("damage", () => {
  let undisturbed: Record<string, number[]> = {};
  let killed = "";
  beforeAll(async () => {
    const setup = create({ checkpointDir: mkdtempSync(join(tmpdir(), "checkpoint-")) });
    await train(setup);
    undisturbed = stateOf(setup.backend, setup);
    rmSync(setup.checkpointDir, { recursive: true });
    killed = mkdtempSync(join(tmpdir(), "checkpoint-"));
    const cut = create({ checkpointDir: killed });
    await expect(train(cut, { killAfter: 9 })).rejects.toThrow("killed");
  });
  afterAll(() => rmSync(killed, { recursive: true }));

  const damages: [what: string, damage: () => void, says: RegExp][] = [
    [
      "truncated in the values",
      () =>
        truncateSync(
          file(8, "state.safetensors"),
          statSync(file(8, "state.safetensors")).size - 100,
        ),
      /step-8.*state\.safetensors/,
    ],
    [
      "truncated in the header",
      () => truncateSync(file(8, "state.safetensors"), 20),
      /step-8.*state\.safetensors/,
    ],
    [
      "with one flipped bit in its values",
      () => {
        const bytes = readFileSync(file(8, "state.safetensors"));
        const at = bytes.length - 100;
        bytes[at] = (bytes[at] ?? 0) ^ 0x10;
        writeFileSync(file(8, "state.safetensors"), bytes);
      },
      /step-8: \w+ is corrupted: its hash differs/,
    ],
    ["empty", () => truncateSync(file(8, "state.safetensors"), 0), /step-8.*state\.safetensors/],
    ["without its state", () => rmSync(file(8, "state.safetensors")), /step-8.*state\.safetensors/],
    ["without its progress", () => rmSync(file(8, "progress.json")), /step-8.*progress\.json/],
    [
      "with half its progress",
      () => truncateSync(file(8, "progress.json"), 20),
      /step-8.*progress\.json/,
    ],
    [
      "with a progress file that lacks a key",
      () => writeFileSync(file(8, "progress.json"), '{"step": 8, "fingerprint": "this run"}'),
      /step-8.*progress\.json: "passes" must be a whole number/,
    ],
    ...(["step", "passes", "evaluationsSinceBest", "fingerprint"] as const).map(
      (key): [string, () => void, RegExp] => [
        `whose ${key} was edited`,
        () => {
          const progress = JSON.parse(readFileSync(file(8, "progress.json"), "utf8"));
          const { [key]: value } = progress;
          const edited = { ...progress, [key]: typeof value === "number" ? value + 1 : "other" };
          writeFileSync(file(8, "progress.json"), JSON.stringify(edited, null, 2));
        },
        /step-8.*progress\.json: is corrupted: its digest differs/,
      ],
    ),
    [
      "with another type of values in its header",
      () => {
        const bytes = readFileSync(file(8, "state.safetensors"));
        const at = bytes.indexOf('"F64"');
        bytes.write('"I64"', at);
        writeFileSync(file(8, "state.safetensors"), bytes);
      },
      /step-8: \w+ is I64, expected F64/,
    ],
    [
      "that is another step's, renamed",
      () => {
        rmSync(join(dir, "step-8"), { recursive: true });
        cpSync(join(dir, "step-4"), join(dir, "step-8"), { recursive: true });
      },
      /step-8: holds step 4, not 8/,
    ],
  ];

  for (const [what, damage, says] of damages)
    test(`a newest checkpoint ${what} is skipped for the previous one, and reported`, async () => {
      cpSync(killed, dir, { recursive: true });
      expect(stepsIn(dir)).toEqual([8, 4]);
      damage();
      const second = create();
      const { resumed, outcome } = await train(second, { resume: true });
      expect(resumed.map(({ progress }) => progress?.step)).toEqual([4]);
      expect(resumed[0]?.damaged).toHaveLength(1);
      expect(resumed[0]?.damaged[0]).toMatch(says);
      expect(outcome.steps).toBe(12);
      expect(stateOf(second.backend, second)).toEqual(undisturbed);
    });

  test("a checkpoint of an earlier version, without a digest, is refused and says so", async () => {
    await train(create(), { stopAfter: 5 });
    const { digest, ...old } = JSON.parse(readFileSync(file(5, "progress.json"), "utf8"));
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    writeFileSync(file(5, "progress.json"), JSON.stringify(old));
    const { backend, trainer } = create();
    expect(() => resumeNewest(dir, backend, trainer, "this run")).toThrow(
      `${join(dir, "step-5")}: was written by an earlier version of adalora, without a digest`,
    );
  });

  test("a damaged checkpoint leaves the trainer unchanged", async () => {
    await train(create(), { stopAfter: 5 });
    for (const step of [4, 5])
      truncateSync(
        file(step, "state.safetensors"),
        statSync(file(step, "state.safetensors")).size - 8,
      );
    const fresh = create();
    const before = stateOf(fresh.backend, fresh);
    const { progress, damaged } = resumeNewest(dir, fresh.backend, fresh.trainer, "this run");
    expect([progress, damaged.length]).toEqual([undefined, 2]);
    expect(stateOf(fresh.backend, fresh)).toEqual(before);
    expect([fresh.trainer.steps, fresh.trainer.passes]).toEqual([0, 0]);
  });

  test("a later damaged checkpoint does not displace an intact one", async () => {
    const options = { saveLimit: 1 };
    await train(create({ options: { ...options, saveSteps: 5 } }), { stopAfter: 10 });
    expect(stepsIn(dir)).toEqual([10]);
    writeFileSync(file(10, "state.safetensors"), "");
    const second = create({ options: { ...options, saveSteps: 4 } });
    await expect(train(second, { resume: true, killAfter: 5 })).rejects.toThrow("killed");
    expect(stepsIn(dir)).toEqual([4]);
    const third = create({ options });
    const { resumed } = await train(third, { resume: true });
    expect(resumed.map(({ progress, damaged }) => [progress?.step, damaged.length])).toEqual([
      [4, 0],
    ]);
  });
});

test("a state of the wrong size under the same settings is damage, reported with both sizes", async () => {
  await train(create(), { stopAfter: 5 });
  const schedule = { ...tinyAllocator.schedule, initial: 24 };
  const other = create({
    model: { rank: 2 },
    trainer: { allocator: { ...tinyAllocator, schedule } },
  });
  const { damaged } = resumeNewest(dir, other.backend, other.trainer, "this run");
  expect(damaged).toHaveLength(2);
  expect(damaged[0]).toMatch(/step-5: values has \d+ elements, expected \d+$/);
});

describe("a checkpoint of a different run", () => {
  const refused = async (setup: ReturnType<typeof create>) => {
    await train(create(), { stopAfter: 5 });
    expect(() => resumeNewest(dir, setup.backend, setup.trainer, "another run")).toThrow(
      `${join(dir, "step-5")}: was written by a run with other settings or data`,
    );
    expect(setup.trainer.steps).toBe(0);
  };

  test("is rejected", () => refused(create()));
  test("is rejected rather than called damaged if its sizes differ too", () =>
    refused(
      create({
        model: { rank: 2 },
        trainer: {
          allocator: { ...tinyAllocator, schedule: { ...tinyAllocator.schedule, initial: 24 } },
        },
      }),
    ));
});

describe("files", () => {
  test("no folder means nothing to resume", () => {
    const { backend, trainer } = create();
    expect(resumeNewest(join(dir, "none"), backend, trainer, "this run")).toEqual({
      progress: undefined,
      damaged: [],
    });
    expect(stepsIn(join(dir, "none"))).toEqual([]);
  });

  test("the newest are kept, by number rather than name; other files are left alone", () => {
    const { backend, trainer } = create();
    writeFileSync(join(dir, "notes.txt"), "mine");
    const save = (step: number) => {
      saveCheckpoint(dir, backend, trainer, { ...tinyProgress, step }, 2);
    };
    for (const step of [8, 9, 10, 100]) save(step);
    expect(stepsIn(dir)).toEqual([100, 10]);
    expect(readdirSync(dir).toSorted()).toEqual(["notes.txt", "step-10", "step-100"]);
  });

  test("progress is read back as written, including the best evaluation", () => {
    const { backend, trainer } = create();
    const progress = {
      step: 7,
      passes: 15,
      evaluations: 3,
      evaluatedStep: 6,
      best: { step: 3, value: -0.25, metrics: { validation: { loss: 0.25, accuracy: 0.5 } } },
      bestCounted: -0.25,
      evaluationsSinceBest: 2,
      seconds: { start: 1.5, training: 2.25, evaluation: 0.125 },
      fingerprint: "this run",
    };
    saveCheckpoint(dir, backend, trainer, progress, 2);
    expect(JSON.parse(readFileSync(file(7, "progress.json"), "utf8"))).toMatchObject(progress);
    const other = create({ model: { seed: 99 } });
    expect(resumeNewest(dir, other.backend, other.trainer, "this run")).toEqual({
      progress,
      damaged: [],
    });
    expect([other.trainer.steps, other.trainer.passes]).toEqual([7, 15]);
  });
});
