import { beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { pushFiles, type Push, type PushOptions } from "../../../core/io/hub-push.ts";
import { pushHub, type Step } from "../../helpers/push-hub.ts";
import { rejection } from "./scratch.ts";

const TOKEN = "hf_secretSecretSecret";
const hub = pushHub(TOKEN);
const fresh = { ...hub.faults };
let count = 0;
let name = "";

beforeEach(() => {
  Object.assign(hub.faults, fresh);
  hub.counts.clear();
  hub.requests.length = 0;
  name = `org/repo-${++count}`;
});

const options = (more: Record<string, string> = {}): PushOptions => ({
  env: { HF_HOME: "/nonexistent", HF_ENDPOINT: hub.urls.hub, HF_TOKEN: TOKEN, ...more },
  retryDelay: 1,
});

/** Bytes that no two tests share, as stored objects are never sent again. */
const bytesOf = (seed: string, length: number) => {
  const digest = createHash("sha256").update(seed).digest();
  return Buffer.from(Array.from({ length }, (_, i) => digest[i % 32]! ^ (i >> 5)));
};

function pushed(weights = bytesOf(name, 5000), config = `{"name":"${name}"}`): Push {
  return {
    name,
    files: [
      { path: "adapter_config.json", content: new Blob([config]) },
      { path: "adapter_model.safetensors", content: new Blob([weights]) },
    ],
    isStale: (path) => path.endsWith(".bin"),
    visibility: null,
  };
}

const push = (one = pushed(), more?: Record<string, string>) => pushFiles(one, options(more));
const steps = () => hub.requests.map(({ step }) => step);
const filesAtHead = () =>
  Object.fromEntries([...(hub.head(name)?.files ?? [])].map(([path, { bytes }]) => [path, bytes]));

/** Every commit after the hub's own first one holds both files of one push. */
function expectWholeCommits(one: Push = pushed()): void {
  for (const { files } of hub.repos.get(name)?.commits.slice(1) ?? []) {
    expect([...files.keys()].toSorted()).toEqual([
      ".gitattributes",
      ...one.files.map(({ path }) => path),
    ]);
  }
}

describe("a push", () => {
  test("makes a private repository and one commit with all files", async () => {
    const result = await push();
    expect(result).toMatchObject({
      url: `${hub.urls.hub}/${name}`,
      isNew: true,
      created: true,
      visibility: "private",
      uploaded: ["adapter_config.json", "adapter_model.safetensors"],
    });
    expect(hub.repos.get(name)?.private).toBe(true);
    expect(hub.head(name)?.oid).toBe(result.commit);
    expect(filesAtHead()["adapter_model.safetensors"]).toEqual(bytesOf(name, 5000));
    expect(hub.head(name)?.files.get("adapter_model.safetensors")?.isLarge).toBe(true);
    expect(hub.head(name)?.files.get("adapter_config.json")?.isLarge).toBe(false);
  });

  test("of the same bytes sends nothing and makes no commit", async () => {
    const first = await push();
    hub.requests.length = 0;
    const again = await push();
    expect(again).toMatchObject({ isNew: false, commit: first.commit, uploaded: [] });
    expect(steps()).toEqual(["info", "list"]);
    expect(hub.repos.get(name)?.commits.length).toBe(2);
  });

  test("sends only what has changed, and deletes stale files alone", async () => {
    const old = pushed();
    await push({
      ...old,
      files: [
        ...old.files,
        { path: "old.bin", content: new Blob(["x"]) },
        { path: "notes.md", content: new Blob(["mine"]) },
      ],
    });
    const result = await push(pushed(undefined, "{}"));
    expect(result).toMatchObject({ uploaded: ["adapter_config.json"], deleted: ["old.bin"] });
    expect(Object.keys(filesAtHead())).toContain("notes.md");
    expect(steps().filter((step) => step === "upload").length).toBe(1);
  });

  test("with --public makes a public repository, and never changes an existing one's", async () => {
    await push({ ...pushed(), visibility: "public" });
    expect(hub.repos.get(name)?.private).toBe(false);
    expect((await push()).visibility).toBe("public");
    const refused = await rejection(push({ ...pushed(), visibility: "private" }));
    expect(refused.message).toBe(`${name}: exists and is public, not private`);
    expect(refused.hint).toContain(`${hub.urls.hub}/${name}/settings`);
    expect(hub.repos.get(name)?.commits.length).toBe(2);
  });

  test("sends a large file in parts, each once", async () => {
    hub.faults.partBytes = 1024;
    await push();
    expect(steps().filter((step) => step === "upload").length).toBe(5);
    expect(steps().filter((step) => step === "complete").length).toBe(1);
    expect(filesAtHead()["adapter_model.safetensors"]).toEqual(bytesOf(name, 5000));
  });

  test("sends the token to the hub alone, never to the storage of large files", async () => {
    await push();
    for (const { host, authorization, body } of hub.requests) {
      expect(authorization).toBe(host === "hub" ? `Bearer ${TOKEN}` : undefined);
      expect(body.includes(TOKEN)).toBe(false);
    }
  });

  test("without a token, a network or a whole name makes no request", async () => {
    const noToken = await rejection(push(pushed(), { HF_TOKEN: "" }));
    expect(noToken.message).toBe(`${name}: cannot be pushed to without a token`);
    expect(noToken.hint).toBe(
      `set HF_TOKEN to a token with write access: ${hub.urls.hub}/settings/tokens`,
    );
    const offline = await rejection(push(pushed(), { HF_HUB_OFFLINE: "1" }));
    expect(offline.message).toContain("HF_HUB_OFFLINE");
    for (const bad of ["name", "org/name@v1", "a/b/c", "../x", "org/"]) {
      expect((await rejection(push({ ...pushed(), name: bad }))).code).toBe("E_HUB");
    }
    expect(hub.requests).toEqual([]);
  });
});

describe("a refusal", () => {
  const writing: readonly Step[] = [
    "info",
    "list",
    "create",
    "preupload",
    "batch",
    "complete",
    "commit",
  ];
  /** What the storage of large files says: its links are signed for one push. */
  const ofStorage = [/storage of large files answered with status \d+$/, /^push again/] as const;
  const messages: readonly (readonly [number, RegExp, RegExp])[] = [
    [401, /does not accept the token$/, /^set HF_TOKEN to a token with write access: http/],
    [403, /the token may not write there$/, /^use a token with write access/],
    [404, /no such repository, account or organization/, /^check the spelling/],
    [
      409,
      /another one came first, and nothing of this one is visible$/,
      /pushing again replaces it$/,
    ],
    [429, /takes no more requests for now \(status 429\)$/, /^wait 7 s, then push again/],
    [503, /is not available at the moment \(status 503\)$/, /^wait 7 s, then push again/],
  ];
  for (const step of [...writing, "upload"] as const) {
    for (const [status, ofHub, next] of messages) {
      const isLink = step === "upload" && status < 429;
      const [rule, hint] = isLink ? ofStorage : [ofHub, next];
      const isAnswer = (step === "info" && status === 404) || (step === "create" && status === 409);
      if (isAnswer) continue; // "no repository yet" and "made by another" are no failures
      test(`with status ${status} at ${step} says what to do and commits nothing`, async () => {
        hub.faults.partBytes = step === "complete" ? 1024 : hub.faults.partBytes;
        hub.faults.echo = `token ${TOKEN} is bad`;
        hub.faults.status = (at) => (at === step ? status : undefined);
        hub.faults.retryAfter = "0.001";
        if (status === 429 || status === 503) {
          // The wait is shown in whole seconds; the attempts before the last one wait less.
          hub.faults.status = (at, n) => {
            hub.faults.retryAfter = n === 3 ? "7" : "0.001";
            return at === step ? status : undefined;
          };
        }
        const error = await rejection(push());
        expect(error.message).toMatch(rule);
        expect(error.hint).toMatch(hint);
        expect(`${error.message} ${error.hint}`).not.toContain(TOKEN);
        expect(hub.repos.get(name)?.commits.length ?? 1).toBe(1);
        Object.assign(hub.faults, fresh);
        expect((await push()).isNew).toBe(true);
      });
    }
  }

  test("with another status shows the hub's words without the token", async () => {
    hub.faults.echo = `bad card; ${TOKEN}`;
    hub.faults.status = (at) => (at === "commit" ? 400 : undefined);
    const error = await rejection(push());
    expect(error.message).toBe(`${name}: ${hub.urls.hub} answered with status 400: bad card; …`);
  });

  test("that passes is retried", async () => {
    hub.faults.status = (step, n) =>
      step === "commit" || step === "upload" ? [503, 429][n] : undefined;
    expect((await push()).isNew).toBe(true);
    expect(hub.repos.get(name)?.commits.length).toBe(2);
  });

  test("of the storage names no link: they carry signatures", async () => {
    hub.faults.status = (step) => (step === "upload" ? 403 : undefined);
    const error = await rejection(push());
    expect(error.message).toBe(`${name}: the storage of large files answered with status 403`);
  });
});

test("parts that fail one after the other are one error, and nothing is completed", async () => {
  hub.faults.partBytes = 1024;
  hub.faults.status = (step, n) => (step === "upload" && n !== 1 ? 403 : undefined);
  const unhandled: unknown[] = [];
  const listen = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", listen);
  await rejection(push(pushed(bytesOf(name, 20_000))));
  await Bun.sleep(50); // the other parts end
  process.off("unhandledRejection", listen);
  expect(unhandled).toEqual([]);
  expect(steps()).not.toContain("complete");
});

describe("a cut connection", () => {
  const SIZE = 300_000;
  const PART = 70_000;
  // Fixed positions that look random: a multiplicative sequence over the file.
  const cuts = Array.from({ length: 20 }, (_, i) => ((i + 1) * 181_081) % SIZE);
  for (const [i, at] of cuts.entries()) {
    test(`after ${at} bytes of a large file is resumed, and the commit is whole`, async () => {
      const isInParts = i % 2 === 0;
      hub.faults.partBytes = isInParts ? PART : Number.POSITIVE_INFINITY;
      const part = isInParts ? Math.floor(at / PART) : 0;
      hub.faults.cutAfter = (step, n) =>
        step === "upload" && n === part ? Math.max(1, at - part * PART) : undefined;
      const weights = bytesOf(name, SIZE);
      expect((await push(pushed(weights))).isNew).toBe(true);
      expect(filesAtHead()["adapter_model.safetensors"]?.equals(weights)).toBe(true);
      expectWholeCommits();
      const sent = hub.requests.filter(({ step }) => step === "upload").length;
      expect(sent).toBe(isInParts ? 6 : 2); // one of them twice
    });
  }

  test("that lasts ends the push without a commit; the next one sends the rest alone", async () => {
    const other = { path: "second.safetensors", content: new Blob([bytesOf(`${name} 2`, 4000)]) };
    const two = { ...pushed(), files: [...pushed().files, other] };
    hub.faults.cutAfter = (step, n) => (step === "upload" && n > 0 ? 100 : undefined);
    const error = await rejection(push(two));
    expect(error.code).toBe("E_HUB_UNREACHABLE");
    expect(error.hint).toContain("files that were uploaded completely are not sent again");
    expect(hub.repos.get(name)?.commits.length).toBe(1);
    Object.assign(hub.faults, fresh);
    hub.requests.length = 0;
    await push(two);
    expect(steps().filter((step) => step === "upload").length).toBe(1);
    expectWholeCommits(two);
  });

  test("at each other request leaves no half of a push", async () => {
    for (const step of ["create", "preupload", "batch", "commit"] as const) {
      hub.counts.clear();
      name = `org/cut-${step}`;
      hub.faults.cutAfter = (at, n) => (at === step && n === 0 ? 10 : undefined);
      await push();
      expect(hub.repos.get(name)?.commits.length).toBe(2);
      expectWholeCommits();
    }
  });
});

describe("two pushes at once", () => {
  test("of the same bytes make one commit", async () => {
    const results = await Promise.all([push(), push()]);
    expect(hub.repos.get(name)?.commits.length).toBe(2);
    expect(results.filter(({ isNew }) => isNew).length).toBe(1);
    expect(new Set(results.map(({ commit }) => commit)).size).toBe(1);
  });

  test("of other bytes: the second is refused, and the first one's commit stays whole", async () => {
    const [first, second] = [bytesOf(`${name} a`, 3000), bytesOf(`${name} b`, 3000)];
    await push(); // the repository is there
    hub.faults.beforeCommit = async () => {
      hub.faults.beforeCommit = async () => {};
      await push(pushed(first, "first"));
    };
    const error = await rejection(push(pushed(second, "second")));
    expect(error.message).toContain("another one came first");
    expect(filesAtHead()["adapter_model.safetensors"]).toEqual(first);
    expect(filesAtHead()["adapter_config.json"]?.toString()).toBe("first");
    expectWholeCommits();
  });

  test("a commit whose answer was lost counts as made", async () => {
    hub.faults.beforeCommit = async () => {
      hub.faults.beforeCommit = async () => {};
      await push();
    };
    const { commit } = await push();
    expect(commit).toBe(hub.head(name)?.oid ?? "");
    expect(hub.repos.get(name)?.commits.length).toBe(2);
  });
});
