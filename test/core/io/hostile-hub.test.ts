import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveModel } from "../../../core/io/hub.ts";
import { datasetSplits } from "../../../core/io/hub-files.ts";
import { COMMIT, fakeHub, large, text } from "./fake-hub.ts";
import { failure, rejection, scratchFolder } from "./scratch.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";

const root = scratchFolder();
let count = 0;

const CONFIG = "{}";
const oid = createHash("sha1").update(`blob ${CONFIG.length}\0${CONFIG}`).digest("hex");
const listed = (path: string, size = CONFIG.length) => ({ type: "file", path, size, oid });

interface Answers {
  readonly info?: () => Response;
  readonly list?: (url: URL) => Response;
  readonly file?: () => Response;
}

/** A hub with the given answers; returns the options to reach it. */
function hubOf({ info, list, file }: Answers) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    development: false,
    fetch(request) {
      const url = new URL(request.url);
      if (url.pathname.includes("/revision/")) return info?.() ?? Response.json({ sha: COMMIT });
      if (url.pathname.includes("/tree/")) {
        return (
          list?.(url) ?? Response.json(["config.json", "model.safetensors"].map((p) => listed(p)))
        );
      }
      return file?.() ?? new Response(CONFIG);
    },
  });
  afterAll(() => server.stop(true));
  const env = {
    HF_HOME: join(root, String(++count)),
    HF_ENDPOINT: server.url.origin,
    HF_HUB_DOWNLOAD_TIMEOUT: "0.3",
  };
  return { options: { env, retryDelay: 1 }, url: server.url.origin };
}

/** A body that sends `chunk` for ever. */
const endless = (chunk: string, delay: number) =>
  new ReadableStream({
    async pull(controller) {
      await Bun.sleep(delay);
      controller.enqueue(Buffer.from(chunk));
    },
  });

const json = { headers: { "Content-Type": "application/json" } };
const next = (url: URL) => ({ Link: `<${url.origin}${url.pathname}?page=${++count}>; rel="next"` });

const HOSTILE: readonly [what: string, answers: Answers, message: RegExp][] = [
  [
    "sends an endless answer",
    { info: () => new Response(endless("x".repeat(1 << 20), 0), json) },
    /an answer has more than 16777216 bytes/,
  ],
  [
    "sends an answer drop by drop",
    { info: () => new Response(endless(" ", 50), json) },
    /no (whole )?answer in time/,
  ],
  [
    "stalls in an answer",
    { list: () => new Response(endless("[", 60_000), json) },
    /no (whole )?answer in time/,
  ],
  [
    "lists pages without end",
    { list: (url) => Response.json([listed("README.md")], { headers: next(url) }) },
    /lists more than 1000 pages|does not come to an end/,
  ],
  [
    "sends a nested answer",
    { info: () => new Response(`{"sha":${"[".repeat(9000)}1${"]".repeat(9000)}}`, json) },
    /returned no commit: \[\[/,
  ],
  [
    "lists a path of a megabyte",
    { list: () => Response.json([listed("a/".repeat(500_000))]) },
    /a path is outside the repository: "a\/a\//,
  ],
  [
    "redirects to a local file",
    { file: () => new Response("", { status: 302, headers: { Location: "file:///etc/passwd" } }) },
    /redirects to "file:\/\/\/etc\/passwd"/,
  ],
  [
    "redirects to no address",
    { file: () => new Response("", { status: 302, headers: { Location: "http://[" } }) },
    /redirects to "http:\/\/\["/,
  ],
  [
    "serves a file of another length than listed",
    { list: () => Response.json([listed("config.json", 7), listed("model.safetensors")]) },
    /config\.json: the server has 2 bytes of it, its list says 7/,
  ],
];

for (const [what, answers, message] of HOSTILE) {
  test(`a hub that ${what} is given up`, async () => {
    const started = cpuTime();
    const error = await rejection(resolveModel("org/name", hubOf(answers).options));
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(300);
    expect(cpuTime() - started).toBeLessThan(8000);
  }, 20_000);
}

test("a file in the cache that is shorter than listed is fetched again", async () => {
  const hub = fakeHub("models", "org/name", {
    "config.json": text(CONFIG),
    "model.safetensors": large("weights"),
  });
  const env = { HF_HOME: join(root, String(++count)), HF_ENDPOINT: hub.url };
  const { dir } = await resolveModel("org/name", { env });
  const file = join(dir, "model.safetensors");
  writeFileSync(file, "wei"); // through the link: the blob is cut
  await resolveModel("org/name", { env });
  expect(readFileSync(file, "utf8")).toBe("weights");
  expect(existsSync(join(dir, "config.json"))).toBe(true);
});

test("a data set of many configurations is described in one short line", () => {
  const names = Array.from({ length: 10_000 }, (_, i) => `config-${i}/train.parquet`);
  const { message } = failure(() => datasetSplits(names, undefined, "org/name"));
  expect(message).toContain("has several configurations: found config-0, ");
  expect(message.length).toBeLessThan(400);
});
