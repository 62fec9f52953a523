import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { errors } from "../../core/errors.ts";
import { nativeDir } from "../../ffi/paths.ts";
import { runSilently } from "./command.ts";

/**
 * GCC's runtime libraries as Debian 11 built them: they need glibc 2.18 at most, where those of the
 * building machine may need the newest.
 */
export const GCC_RUNTIME = { version: "10.2.1-6", folder: join(nativeDir, "gcc-10.2.1-6") };

/** A file that is taken from a Debian package. */
interface Part {
  readonly package: string;
  readonly sha256: string;
  /** Path inside the package. */
  readonly path: string;
  readonly name: string;
}

const LIBRARIES = "usr/lib/x86_64-linux-gnu";

const PARTS: readonly Part[] = [
  {
    package: "libgomp1",
    sha256: "4530c95aefa48e33fd8cf4acbe5c4b559dbe7bdf4c56469986c83a203982cef1",
    path: `${LIBRARIES}/libgomp.so.1`,
    name: "libgomp.so.1",
  },
  {
    package: "libstdc++6",
    sha256: "5c155c58935870bf3b4bfe769116841c0d286a74f59eccfd5645693ac23f06b1",
    path: `${LIBRARIES}/libstdc++.so.6`,
    name: "libstdc++.so.6",
  },
  {
    package: "libgcc-s1",
    sha256: "e478f2709d8474165bb664de42e16950c391f30eaa55bc9b3573281d83a29daf",
    path: "lib/x86_64-linux-gnu/libgcc_s.so.1",
    name: "libgcc_s.so.1",
  },
  {
    package: "gcc-10-base",
    sha256: "be65535e94f95fbf04b104e8ab36790476f063374430f7dfc6c516cbe2d2cd1e",
    path: "usr/share/doc/gcc-10-base/copyright",
    name: "copyright",
  },
];

const FETCH_LIMIT_MS = 60_000;

/** Whether all of it is there. */
const isRuntimeFetched = () =>
  PARTS.every(({ name }) => existsSync(join(GCC_RUNTIME.folder, name)));

/**
 * Fetches GCC's runtime libraries and their licence, unless they are there. Throws E_MACHINE without
 * network or without a program that unpacks Debian packages.
 */
export async function fetchRuntime(): Promise<void> {
  if (isRuntimeFetched()) return;
  const scratch = await mkdtemp(join(nativeDir, "tmp."));
  try {
    const whole = join(scratch, "whole");
    await mkdir(whole);
    for (const part of PARTS) {
      const unpacked = join(scratch, part.package);
      await unpackDebian(await fetchPackage(part), unpacked);
      await copyFile(join(unpacked, part.path), join(whole, part.name)); // follows links
      await chmod(join(whole, part.name), 0o644);
    }
    await rm(GCC_RUNTIME.folder, { recursive: true, force: true });
    await rename(whole, GCC_RUNTIME.folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function fetchPackage({ package: name, sha256 }: Part): Promise<Uint8Array> {
  const file = `${name}_${GCC_RUNTIME.version}_amd64.deb`;
  const reasons: string[] = [];
  for (const mirror of mirrors()) {
    const url = `${mirror}/pool/main/g/gcc-10/${file}`;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_LIMIT_MS) });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (!response.ok) reasons.push(`${url}: status ${response.status}`);
      else if (createHash("sha256").update(bytes).digest("hex") === sha256) return bytes;
      else reasons.push(`${url}: has a wrong sha256`);
    } catch (error) {
      reasons.push(`${url}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw errors.machine(
    [`${file} could not be fetched`, ...reasons].join("; "),
    "check the network, or name a mirror that still has it in DEBIAN_MIRROR, then: npm run build",
  );
}

/** Where Debian's packages are: $DEBIAN_MIRROR, then the mirrors that this machine's apt uses. */
function mirrors(): readonly string[] {
  const own = process.env["DEBIAN_MIRROR"];
  const listed = Bun.which("apt-get")
    ? Bun.spawnSync(["apt-get", "--print-uris", "download", "libgomp1"]).stdout.toString()
    : "";
  const fromApt = [...listed.matchAll(/'(https?:\/\/[^']+?)\/pool\//g)].map(
    ([, base = ""]) => base,
  );
  return [...(own === undefined ? [] : [own.replace(/\/$/, "")]), ...new Set(fromApt)];
}

/** Unpacks a Debian package, with dpkg or with tar and xz, into a new folder. */
async function unpackDebian(bytes: Uint8Array, to: string): Promise<void> {
  await mkdir(to);
  const file = `${to}.deb`;
  const data = `${to}.tar.xz`;
  await writeFile(file, bytes);
  const failure = await runSilently(["dpkg-deb", "-x", file, to], to);
  if (failure === undefined) return;
  await writeFile(data, archiveMember(bytes, "data.tar.xz"));
  const second = await runSilently(["tar", "-xJf", data], to);
  if (second === undefined) return;
  throw errors.machine(
    `${basename(file)} could not be unpacked: dpkg-deb: ${failure}; tar: ${second}`,
    "install dpkg, or tar and xz",
  );
}

const HEADER = 60;

/** A member of an ar archive: headers of 60 bytes, members at even offsets. Throws E_FILE. */
export function archiveMember(archive: Uint8Array, name: string): Uint8Array {
  const text = (from: number, to: number) =>
    Buffer.from(archive.subarray(from, to)).toString("latin1").trim();
  for (let at = 8; at + HEADER <= archive.length;) {
    const size = Number(text(at + 48, at + 58));
    const start = at + HEADER;
    if (text(at, at + 16).replace(/\/$/, "") === name) return archive.slice(start, start + size);
    at = start + size + (size % 2);
  }
  throw errors.file("Debian package", `has no ${name}`);
}
