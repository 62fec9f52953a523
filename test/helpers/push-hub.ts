import { afterAll, beforeAll } from "bun:test";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request to the hub by what it is for; "upload" goes to the storage of large files. */
export type Step =
  | "info"
  | "list"
  | "create"
  | "preupload"
  | "batch"
  | "upload"
  | "complete"
  | "commit"
  | "resolve";

interface StoredFile {
  readonly bytes: Buffer;
  readonly isLarge: boolean;
}

/** A commit: its whole tree. */
export interface Commit {
  readonly oid: string;
  readonly files: ReadonlyMap<string, StoredFile>;
}

interface Repository {
  private: boolean;
  readonly commits: Commit[];
}

interface Answer {
  readonly status: number;
  readonly value?: object;
  readonly bytes?: Buffer;
}

/** A request that the hub received. */
export interface PushRequest {
  readonly step: Step;
  readonly host: "hub" | "storage";
  readonly authorization: string | undefined;
  /** All bytes of the body that arrived. */
  readonly body: Buffer;
}

const hash = (algorithm: "sha1" | "sha256", ...parts: (string | Buffer)[]) =>
  parts.reduce((hasher, part) => hasher.update(part), createHash(algorithm)).digest("hex");
const blobOid = (bytes: Buffer) => hash("sha1", `blob ${bytes.length}\0`, bytes);

/**
 * A hub that takes pushes as the real one does (huggingface_hub's `upload_folder` pushes to it too):
 * repositories with commits, and a second host that stores large files in one request or in parts
 * of `partBytes`. A commit is refused (412) if its parent is not the newest
 * one, and (400) if a large file of it is missing or damaged.
 */
export function pushHub(token: string) {
  const repos = new Map<string, Repository>();
  const stored = new Map<string, Buffer>();
  const parts = new Map<string, Map<number, Buffer>>();
  const requests: PushRequest[] = [];
  const faults = {
    /** The status to answer a request with; undefined for none. `count`: earlier ones of its step. */
    status: (_step: Step, _count: number): number | undefined => undefined,
    /** After how many bytes of the body the connection is cut. */
    cutAfter: (_step: Step, _count: number): number | undefined => undefined,
    /** Called before a commit is checked: a chance for another push. */
    beforeCommit: async (): Promise<void> => {},
    retryAfter: "0",
    echo: "",
    largeFrom: 1000,
    partBytes: Number.POSITIVE_INFINITY,
  };
  const counts = new Map<Step, number>();

  const head = (name: string) => repos.get(name)?.commits.at(-1);
  const addCommit = (repo: Repository, files: ReadonlyMap<string, StoredFile>) => {
    const oid = hash(
      "sha1",
      `${repo.commits.length}`,
      ...[...files].flatMap(([p, f]) => [p, f.bytes]),
    );
    repo.commits.push({ oid, files });
    return oid;
  };
  const urls = { hub: "", storage: "" };

  /** The answer to one request of the hub: a status with a JSON value or bytes. */
  async function answer(step: Step, name: string, url: URL, body: Buffer): Promise<Answer> {
    const json = () => JSON.parse(body.toString());
    const repo = repos.get(name);
    if (step === "create") {
      const { name: own, organization, visibility } = json();
      const whole = `${organization}/${own}`;
      if (repos.has(whole)) return { status: 409, value: { error: "You already created this" } };
      const made = { private: visibility === "private", commits: [] };
      repos.set(whole, made);
      addCommit(
        made,
        new Map([[".gitattributes", { bytes: Buffer.from("*.bin"), isLarge: false }]]),
      );
      return { status: 200, value: { url: `${urls.hub}/${whole}`, id: whole } };
    }
    if (repo === undefined) return { status: 404, value: { error: "Repository not found" } };
    const newest = repo.commits.at(-1);
    if (step === "info") {
      const value = { _id: "1", id: name, sha: newest?.oid, private: repo.private };
      return { status: 200, value };
    }
    if (step === "list") {
      const commit = repo.commits.find(({ oid }) => url.pathname.includes(oid)) ?? newest;
      return { status: 200, value: [...(commit?.files ?? [])].map(listed) };
    }
    if (step === "resolve") {
      const [, oid = "", path = ""] = /\/resolve\/(\w+)\/(.+)$/.exec(url.pathname) ?? [];
      const found = repo.commits
        .find((one) => one.oid === oid)
        ?.files.get(decodeURIComponent(path));
      return found ? { status: 200, bytes: found.bytes } : { status: 404, value: {} };
    }
    if (step === "preupload") {
      const mode = ({ size }: { size: number }) => (size >= faults.largeFrom ? "lfs" : "regular");
      const files = json().files.map((file: { path: string; size: number }) => {
        return { path: file.path, uploadMode: mode(file), shouldIgnore: false };
      });
      return { status: 200, value: { files } };
    }
    if (step === "batch") {
      const { objects } = json();
      return { status: 200, value: { transfer: "basic", objects: objects.map(uploadOf) } };
    }
    if (step === "complete") {
      const { oid } = json();
      const all = [...(parts.get(oid) ?? [])].toSorted(([a], [b]) => a - b);
      stored.set(oid, Buffer.concat(all.map(([, bytes]) => bytes)));
      return { status: 200, value: {} };
    }
    await faults.beforeCommit();
    return makeCommit(repo, body);
  }

  function uploadOf({ oid, size }: { oid: string; size: number }) {
    if (stored.has(oid)) return { oid, size };
    if (size <= faults.partBytes)
      return { oid, size, actions: { upload: { href: `${urls.storage}/${oid}` } } };
    const count = Math.ceil(size / faults.partBytes);
    const links = Array.from({ length: count }, (_, i) => {
      return [String(i + 1).padStart(5, "0"), `${urls.storage}/${oid}/${i + 1}`];
    });
    const header = { chunk_size: String(faults.partBytes), ...Object.fromEntries(links) };
    return {
      oid,
      size,
      actions: { upload: { href: `${urls.hub}/complete/${currentName}`, header } },
    };
  }
  let currentName = "";

  function makeCommit(repo: Repository, body: Buffer) {
    const [first, ...operations] = body
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const files = new Map(repo.commits.at(-1)?.files);
    const { parentCommit = repo.commits.at(-1)?.oid } = first.value;
    if (parentCommit !== repo.commits.at(-1)?.oid) {
      return { status: 412, value: { error: "A commit has happened since." } };
    }
    for (const { key, value } of operations) {
      if (key === "deletedFile") files.delete(value.path);
      else if (key === "file") {
        files.set(value.path, { bytes: Buffer.from(value.content, "base64"), isLarge: false });
      } else {
        const bytes = stored.get(value.oid);
        if (bytes?.length !== value.size || hash("sha256", bytes ?? "") !== value.oid) {
          return { status: 400, value: { error: `${value.path}: no such object` } };
        }
        files.set(value.path, { bytes: bytes ?? Buffer.alloc(0), isLarge: true });
      }
    }
    return {
      status: 200,
      value: {
        commitOid: addCommit(repo, files),
        commitUrl: `${urls.hub}/${currentName}/commit/new`,
      },
    };
  }

  async function handle(
    host: "hub" | "storage",
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    const url = new URL(request.url ?? "/", "http://hub");
    const { step, name } =
      host === "hub" ? routed(url.pathname) : { step: "upload" as const, name: "" };
    const count = counts.get(step) ?? 0;
    counts.set(step, count + 1);
    const body = await received(request, faults.cutAfter(step, count));
    const { authorization } = request.headers;
    requests.push({ step, host, authorization, body: body.bytes });
    if (body.isCut) return;
    const fault = faults.status(step, count);
    if (fault !== undefined) {
      const headers = { "Retry-After": faults.retryAfter, "X-Error-Message": faults.echo };
      response.writeHead(fault, headers).end("no");
      return;
    }
    if (host === "storage") {
      const [oid = "", part] = url.pathname.slice(1).split("/");
      const own = parts.get(oid) ?? new Map<number, Buffer>();
      parts.set(oid, own);
      if (part === undefined) stored.set(oid, body.bytes);
      else own.set(Number(part), body.bytes);
      response.writeHead(200, { ETag: `"${part ?? oid}"` }).end();
      return;
    }
    if (step !== "complete" && authorization !== `Bearer ${token}`) {
      response.writeHead(401).end("{}");
      return;
    }
    if (name !== "") currentName = name;
    const { status, value, bytes } = await answer(step, name, url, body.bytes);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(bytes ?? JSON.stringify(value));
  }

  const servers: Server[] = [];
  beforeAll(async () => {
    for (const host of ["hub", "storage"] as const) {
      const server = createServer((request, response) => void handle(host, request, response));
      await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on a port
      const { port } = server.address() as AddressInfo;
      urls[host] = `http://127.0.0.1:${port}`;
      servers.push(server);
    }
  });
  afterAll(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  return { urls, repos, stored, requests, faults, counts, head };
}

// --- internal ---

const listed = ([path, { bytes, isLarge }]: readonly [string, StoredFile]) => ({
  type: "file",
  path,
  size: bytes.length,
  oid: blobOid(bytes),
  ...(isLarge && { lfs: { oid: hash("sha256", bytes), size: bytes.length, pointerSize: 130 } }),
});

const routes: readonly (readonly [RegExp, Step])[] = [
  [/^\/api\/repos\/create$/, "create"],
  [/^\/api\/(?:models|datasets)\/([^/]+\/[^/]+)\/revision\//, "info"],
  [/^\/api\/(?:models|datasets)\/([^/]+\/[^/]+)\/tree\//, "list"],
  [/^\/api\/models\/([^/]+\/[^/]+)\/preupload\/main$/, "preupload"],
  [/^\/api\/models\/([^/]+\/[^/]+)\/commit\/main$/, "commit"],
  [/^\/complete\/([^/]+\/[^/]+)$/, "complete"],
  [/^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/, "batch"],
  [/^\/(?:datasets\/)?([^/]+\/[^/]+)\/resolve\//, "resolve"],
];

function routed(path: string): { readonly step: Step; readonly name: string } {
  for (const [pattern, step] of routes) {
    const found = pattern.exec(path);
    if (found) return { step, name: found[1] ?? "" };
  }
  throw new Error(`the fake hub does not know ${path}`);
}

/** The body of a request; `cutAfter`: the connection is closed after so many bytes of it. */
function received(request: IncomingMessage, cutAfter = Number.POSITIVE_INFINITY) {
  const { socket } = request;
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise<{ bytes: Buffer; isCut: boolean }>((resolve) => {
    const end = (isCut: boolean) => resolve({ bytes: Buffer.concat(chunks), isCut });
    request.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size < cutAfter) return;
      socket.destroy();
      end(true);
    });
    request.on("end", () => end(false));
    request.on("close", () => end(true));
  });
}
