import { beforeAll, describe, expect, test } from "bun:test";
import { adapterBytes } from "../helpers/run-results.ts";
import { commandTest, lossesIn } from "./command.ts";

const { run, start, training, path } = commandTest();
const plain = path("plain");

beforeAll(async () => {
  expect((await run(training({ dropout: 0.1, out: plain }))).code).toBe(0);
});

const resultsOf = (out: string) => ({
  adapter: adapterBytes(out).toString("hex"),
  losses: lossesIn(out),
});

describe("--checkpointing", () => {
  test("changes no number of a run", async () => {
    const out = path("less");
    const { code } = await run(training({ dropout: 0.1, out, checkpointing: true }));
    expect(code).toBe(0);
    expect(resultsOf(out)).toEqual(resultsOf(plain));
  });

  test("makes the memory that a plan foresees smaller", async () => {
    const bytes = async (flags: Parameters<typeof training>[0]) => {
      const [, ...words] = training(flags);
      const { stdout } = await run(["plan", ...words, "--json"]);
      return Number(JSON.parse(stdout).needs.training);
    };
    expect(await bytes({ checkpointing: true })).toBeLessThan(0.9 * (await bytes({})));
  });

  test("may be turned on for the rest of a run that was interrupted", async () => {
    const out = path("interrupted");
    const flags = { dropout: 0.1, "save-steps": 3, out };
    const started = start(training(flags));
    await started.signalAfter("step 10/24", "SIGINT");
    expect((await started.ended).code).toBe(130);
    const { code, stderr } = await run(training({ ...flags, resume: true, checkpointing: true }));
    expect([code, stderr]).toEqual([0, expect.stringContaining("resuming after step")]);
    expect(resultsOf(out)).toEqual(resultsOf(plain));
  });
});
