import { beforeAll, expect, test } from "bun:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import { fakeHub, large, text } from "../core/io/fake-hub.ts";
import { writeBart } from "../helpers/bart-folder.ts";
import { commandTest } from "./command.ts";

const { run, path } = commandTest();
const model = path("bart");
beforeAll(() => writeBart(model));

/** Part of a split as the hub keeps it. */
function part(columns: readonly [text: string, summary: string], rows: number) {
  const columnData = [...columns, "id"].map((name) => ({
    name,
    data: Array.from({ length: rows }, (_, i) => `the cat ${i}`),
    type: "STRING" as const,
  }));
  return large(Buffer.from(parquetWriteBuffer({ columnData })));
}

const xsum = ["document", "summary"] as const;
const news = ["article", "highlights"] as const;

test.each([
  [
    "xsum",
    fakeHub("datasets", "EdinburghNLP/xsum", {
      "default/train/0000.parquet": part(xsum, 3),
      "default/train/0001.parquet": part(xsum, 2),
      "default/validation/0000.parquet": part(xsum, 1),
      "default/test/0000.parquet": part(xsum, 1),
    }),
    "revision/refs/convert/parquet",
  ],
  [
    "cnn_dailymail",
    fakeHub("datasets", "abisee/cnn_dailymail", {
      "README.md": text("news"),
      "1.0.0/train-00000-of-00001.parquet": part(news, 9),
      "3.0.0/train-00000-of-00002.parquet": part(news, 3),
      "3.0.0/train-00001-of-00002.parquet": part(news, 2),
      "3.0.0/validation-00000-of-00001.parquet": part(news, 1),
      "3.0.0/test-00000-of-00001.parquet": part(news, 1),
    }),
    "revision/main",
  ],
])("%s without --data takes the hub's own", async (recipe, hub, revision) => {
  const lengths = ["--max-length", "24", "--max-target-length", "8", "--max-steps", "9"];
  const args = ["plan", recipe, "--model", model, ...lengths, "--device", "reference", "--json"];
  const online = { HF_HUB_OFFLINE: "0", HF_ENDPOINT: hub.url };
  const { code, stdout, stderr } = await run(args, online);
  expect([code, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout).rows).toBe(5);
  expect(hub.requests.some(({ path: requested }) => requested.includes(revision))).toBe(true);
  expect(
    hub.requests.some(
      ({ path: requested }) => requested.includes("resolve") && requested.includes("1.0.0"),
    ),
  ).toBe(false);
});
