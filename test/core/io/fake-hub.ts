import { afterAll } from "bun:test";
import { createHash } from "node:crypto";

/** The commit that every repository is at. */
export const COMMIT = "1".repeat(40);

interface FakeFile {
  readonly bytes: Buffer;
  /** Stored as a large (LFS) file: identified by SHA-256 and served by another host. */
  readonly large?: boolean;
}

/** Faults of the hub; every field may be changed between requests. */
export interface Faults {
  /** Called with each request's path; a number is the status to answer with. */
  status: (path: string) => number | undefined;
  /** Called for each file; a number of bytes after which the connection breaks. */
  breakAfter: (path: string) => number | undefined;
  /** Serves other bytes of the same length. */
  damage: (path: string) => boolean;
  /** Answers each range with the whole file. */
  ignoreRanges: boolean;
  /** Answers each request with a range that was not requested. */
  uselessRange: boolean;
  /** Ends bodies that break as if they were complete, like some proxies. */
  quiet: boolean;
  /** Stalls in the middle of each body. */
  stall: boolean;
  token: string | undefined;
}

/** A request that the hub received. */
export interface SeenRequest {
  readonly host: "hub" | "files";
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
}

const sha1 = (bytes: Buffer) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** A small text file. */
export const text = (content: string): FakeFile => ({ bytes: Buffer.from(content) });
/** A file stored in LFS. */
export const large = (content: string | Buffer): FakeFile => ({
  bytes: Buffer.from(content),
  large: true,
});

/** The etag that the hub sends for a file. */
export const hashOf = ({ bytes, large: isLarge }: FakeFile) =>
  isLarge === true ? sha256(bytes) : sha1(bytes);

function body(bytes: Buffer, breakAfter: number | undefined, { stall, quiet }: Faults) {
  if (breakAfter === undefined && !stall) return bytes;
  let sent = false;
  return new ReadableStream({
    async pull(controller) {
      if (sent) {
        await (stall ? new Promise(() => {}) : Bun.sleep(10));
        if (quiet) controller.close();
        else controller.error(new Error("broken"));
      } else {
        sent = true;
        controller.enqueue(bytes.subarray(0, breakAfter ?? Math.floor(bytes.length / 2)));
      }
    },
  });
}

function serveFile(
  { bytes }: FakeFile,
  path: string,
  range: string | null,
  faults: Faults,
): Response {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  if (faults.uselessRange) {
    return new Response("xy", { status: 206, headers: { "Content-Range": "bytes 7-8/300000" } });
  }
  const partial = range !== null && !faults.ignoreRanges;
  if (partial && from >= bytes.length) return new Response("", { status: 416 });
  const content = faults.damage(path) ? Buffer.alloc(bytes.length, "x") : bytes;
  const part = partial ? content.subarray(from) : content;
  const headers: Record<string, string> = { "Content-Length": String(part.length) };
  if (partial) headers["Content-Range"] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
  const stream = body(part, faults.breakAfter(path), faults);
  return new Response(stream, { status: partial ? 206 : 200, headers });
}

const notFound = (code: string) =>
  new Response("{}", { status: 404, headers: { "X-Error-Code": code } });

/**
 * A local hub with one repository: info, paged file list, and files; large ones come from a second
 * host. `kind` is "models" or "datasets".
 */
export function fakeHub(
  kind: "models" | "datasets",
  name: string,
  files: Record<string, FakeFile>,
) {
  const faults: Faults = {
    status: () => undefined,
    breakAfter: () => undefined,
    damage: () => false,
    ignoreRanges: false,
    uselessRange: false,
    quiet: false,
    stall: false,
    token: undefined,
  };
  const requests: SeenRequest[] = [];
  const repo: {
    commit: string;
    files: Record<string, FakeFile>;
    pageSize: number;
    revisions: string[];
  } = {
    commit: COMMIT,
    files,
    pageSize: 2,
    revisions: ["main", "v1", "refs/convert/parquet"],
  };
  const see = (host: SeenRequest["host"], request: Request, path: string) => {
    const { headers } = request;
    requests.push({
      host,
      path,
      authorization: headers.get("Authorization"),
      range: headers.get("Range"),
    });
  };

  const fileHost = Bun.serve({
    port: 0,
    development: false, // no report of the broken bodies
    hostname: "127.0.0.1",
    fetch(request) {
      const path = decodeURIComponent(new URL(request.url).pathname).slice(1);
      see("files", request, path);
      const file = files[path];
      return file === undefined
        ? notFound("")
        : serveFile(file, path, request.headers.get("Range"), faults);
    },
  });

  const list = (url: URL) => {
    const page = Number(url.searchParams.get("page") ?? 0);
    const isDeep = url.searchParams.get("recursive") === "true";
    const listed = Object.entries(repo.files).filter(([path]) => isDeep || !path.includes("/"));
    const all = listed.map(([path, file]) => ({
      type: "file",
      path,
      size: file.bytes.length,
      oid: sha1(file.bytes),
      ...(file.large === true
        ? { lfs: { oid: sha256(file.bytes), size: file.bytes.length, pointerSize: 130 } }
        : {}),
    }));
    const start = page * repo.pageSize;
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (start + repo.pageSize < all.length) {
      url.searchParams.set("page", String(page + 1));
      headers["Link"] = `<${url.href}>; rel="next"`;
    }
    const shown = all.slice(start, start + repo.pageSize);
    return new Response(JSON.stringify([{ type: "directory", path: "sub", size: 0 }, ...shown]), {
      headers,
    });
  };

  const hub = Bun.serve({
    port: 0,
    development: false,
    hostname: "127.0.0.1",
    fetch(request) {
      const url = new URL(request.url);
      const path = decodeURIComponent(url.pathname);
      see("hub", request, path);
      const status = faults.status(path);
      if (status !== undefined) return new Response("no", { status });
      if (
        faults.token !== undefined &&
        request.headers.get("Authorization") !== `Bearer ${faults.token}`
      ) {
        return new Response("{}", { status: 401, headers: { "X-Error-Code": "RepoNotFound" } });
      }
      const api = `/api/${kind}/${name}`;
      if (path.startsWith(`${api}/revision/`)) {
        const revision = path.slice(`${api}/revision/`.length);
        if (!repo.revisions.includes(revision) && revision !== repo.commit)
          return notFound("RevisionNotFound");
        return Response.json({ _id: "1", id: name, sha: repo.commit });
      }
      if (path === `${api}/tree/${repo.commit}`) return list(url);
      const resolve = `/${kind === "datasets" ? "datasets/" : ""}${name}/resolve/${repo.commit}/`;
      if (!path.startsWith(resolve)) return notFound("RepoNotFound");
      const file = path.slice(resolve.length);
      const found = files[file];
      if (found === undefined) return notFound("EntryNotFound");
      if (found.large === true) return Response.redirect(new URL(file, fileHost.url).href, 302);
      return serveFile(found, file, request.headers.get("Range"), faults);
    },
  });

  afterAll(async () => {
    await Promise.all([hub.stop(true), fileHost.stop(true)]);
  });
  return { url: hub.url.origin, faults, requests, repo };
}
