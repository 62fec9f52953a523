import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchDnnl, isFetched } from "../../scripts/setup/onednn.ts";
import { unpackWheel } from "../../scripts/setup/wheels.ts";

const root = mkdtempSync(join(tmpdir(), "adalora-fetch-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A search path with nothing but the given commands, which are shell scripts. */
function only(name: string, commands: Record<string, string>) {
  const bin = join(root, name);
  mkdirSync(bin);
  for (const [command, script] of Object.entries(commands)) {
    writeFileSync(join(bin, command), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, command), 0o755);
  }
  return { PATH: bin };
}

/** Fetches into a folder of its own; returns the error and what was left there. */
async function attempt(name: string, commands: Record<string, string>) {
  const env = only(`${name}-bin`, commands);
  const native = join(root, name);
  mkdirSync(native);
  const to = join(native, "onednn", "libdnnl.so.3");
  const error: unknown = await fetchDnnl(to, env).catch((caught: unknown) => caught);
  return { error, left: readdirSync(native), fetched: isFetched(to) };
}

test("without pip and uv the message says how to get one", async () => {
  const { error, left } = await attempt("none", {
    python3: 'echo "No module named pip" >&2; exit 1',
  });
  expect(error).toMatchObject({
    message: "neither pip nor uv is available",
    hint: "apt-get install python3-pip (or install your system's oneDNN 3), then: npm run setup",
  });
  expect(left).toEqual([]);
});

test("pip's last error is reported", async () => {
  const { error, left } = await attempt("offline", {
    python3: `case "$*" in *--version*) exit 0 ;; esac
      echo "WARNING: Retrying" >&2; echo "ERROR: No matching distribution found" >&2; echo >&2; exit 1`,
  });
  expect(error).toMatchObject({
    message: "python3 could not fetch onednn-cpu-gomp: ERROR: No matching distribution found",
  });
  expect(left).toEqual([]);
});

test("pip fetches one wheel by its hash, and runs nothing of it", async () => {
  const log = join(root, "requests");
  await attempt("requests-pip", {
    pip3: `case "$*" in *--version*) exit 0 ;; esac
      echo "$*" >"${log}"; while read -r line; do echo "$line" >>"${log}"; done <requirements.txt; exit 1`,
  });
  expect(await Bun.file(log).text()).toBe(
    "download --quiet --no-input --disable-pip-version-check --timeout 20 --retries 2 --no-deps " +
      "--only-binary :all: --require-hashes --dest . -r requirements.txt\n" +
      "onednn-cpu-gomp==2023.2.0 " +
      "--hash=sha256:2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb\n",
  );
});

test("a wheel of other bytes is refused, whatever pip thinks of it", async () => {
  const { error, left, fetched } = await attempt("forged", {
    pip: 'case "$*" in *--version*) ;; *) echo forged >onednn.whl ;; esac',
  });
  expect(error).toMatchObject({ message: "onednn.whl: has a wrong sha256" });
  expect(left).toEqual([]);
  expect(fetched).toBe(false);
});

test("a library of other bytes is refused, and what was there before stays", async () => {
  const uv = `case "$*" in *--version*) exit 0 ;; esac
    ${["lib", "share", "share/doc", "share/doc/onednn"].map((dir) => `/bin/mkdir -p site/${dir}`).join("; ")}
    echo forged >site/lib/libdnnl.so.3; echo >site/share/doc/onednn/LICENSE
    echo >site/share/doc/onednn/THIRD-PARTY-PROGRAMS`;
  const env = only("uv-bin", { uv });
  const folder = join(root, "uv", "onednn");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "before"), "");
  const to = join(folder, "libdnnl.so.3");
  await expect(fetchDnnl(to, env)).rejects.toThrow(
    "libdnnl.so.3: is not the library that belongs to the wheel",
  );
  expect(readdirSync(join(root, "uv"))).toEqual(["onednn"]);
  expect(existsSync(join(folder, "before"))).toBe(true);
});

describe("unpackWheel", () => {
  const wheel = join(root, "a.whl");
  const unpacked = (name: string) => {
    const to = join(root, name);
    mkdirSync(to);
    return to;
  };

  describe.skipIf(Bun.which("python3") === null)("(needs python3)", () => {
    const write = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("a.data/data/lib/liba.so", "library " * 1000)
    z.writestr("a.data/data/lib/other.so", "unused")`;
    const make = () => Bun.spawnSync(["python3", "-c", write, wheel]);

    test("unpacks the requested members and nothing else", async () => {
      make();
      const to = unpacked("members");
      await unpackWheel(wheel, ["a.data/data/lib/liba.so"], to, process.env, { command: "" });
      expect(readdirSync(join(to, "a.data/data/lib"))).toEqual(["liba.so"]);
      const text = readFileSync(join(to, "a.data/data/lib/liba.so"), "utf8");
      expect(text).toBe("library ".repeat(1000));
    });

    test("an absent member and a damaged wheel are errors that name them", async () => {
      make();
      const to = unpacked("damaged");
      await expect(
        unpackWheel(wheel, ["a.data/none"], to, process.env, { command: "" }),
      ).rejects.toThrow(/python3 could not unpack a\.whl: KeyError: .*a\.data\/none/);
      writeFileSync(wheel, readFileSync(wheel).subarray(0, 50));
      await expect(unpackWheel(wheel, [], to, process.env, { command: "" })).rejects.toThrow(
        "zip file",
      );
    });
  });

  test("without Python the message says how to get it", async () => {
    const env = only("no-python-bin", {});
    const to = unpacked("none-unpacked");
    const command = "npm run setup -- --cuda";
    await expect(unpackWheel(wheel, [], to, env, { command })).rejects.toMatchObject({
      message: "python3 could not unpack a.whl: command not found",
      hint: "apt-get install python3, then: npm run setup -- --cuda",
    });
  });
});

test("a fetched tree without a licence is refused", async () => {
  const { error, left } = await attempt("bare", {
    uv: 'case "$*" in *--version*) ;; *) /bin/mkdir -p site/lib; echo >site/lib/libdnnl.so.3 ;; esac',
  });
  expect(error).toMatchObject({
    message:
      "onednn-cpu-gomp: has no share/doc/onednn/LICENSE, share/doc/onednn/THIRD-PARTY-PROGRAMS",
  });
  expect(left).toEqual([]);
});
