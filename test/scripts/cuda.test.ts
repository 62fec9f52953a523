import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectEnded, longScript } from "../helpers/ended-process.ts";
import { runSilently } from "../../scripts/setup/command.ts";
import { fetchCuda, fetchNvrtc, isCudaFetched, WHEELS } from "../../scripts/setup/cuda.ts";

const root = mkdtempSync(join(tmpdir(), "adalora-cuda-"));
afterAll(() => rmSync(root, { recursive: true }));

const libraries = WHEELS.flatMap((wheel) => wheel.libraries);

/** A folder with sparse files of the libraries' sizes. */
function filled(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const { name, bytes } of libraries) {
    writeFileSync(join(folder, name), "");
    truncateSync(join(folder, name), bytes);
  }
  return folder;
}

/** A search path with uv alone, whose fetch is a shell script. */
function uv(name: string, script: string) {
  const bin = join(root, `${name}-bin`);
  mkdirSync(bin);
  const text = `#!/bin/sh\ncase "$*" in *--version*) exit 0 ;; esac\n${script}\n`;
  writeFileSync(join(bin, "uv"), text);
  chmodSync(join(bin, "uv"), 0o755);
  return { PATH: bin };
}

test("an incomplete folder is replaced by the libraries of the wheels", async () => {
  const folder = join(root, "first", "cuda");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "before"), "");
  filled(join(root, "first-site/nvidia/cu13/lib"));
  await fetchCuda(folder, uv("first", `/bin/mv "${root}/first-site" site`));
  expect(isCudaFetched(folder)).toBe(true);
  expect(readdirSync(folder).toSorted()).toEqual(libraries.map(({ name }) => name).toSorted());
  expect(readdirSync(join(root, "first"))).toEqual(["cuda"]);
});

test("the copy of another set-up that was faster stays", async () => {
  const folder = join(root, "second", "cuda");
  writeFileSync(join(filled(join(root, "faster")), "of the other"), "");
  filled(join(root, "second-site/nvidia/cu13/lib"));
  const script = `/bin/mv "${root}/second-site" site; /bin/mv "${root}/faster" "${folder}"`;
  await fetchCuda(folder, uv("second", script));
  expect(readdirSync(folder)).toContain("of the other");
  expect(readdirSync(join(root, "second"))).toEqual(["cuda"]);
});

test("NVRTC alone goes into a folder of its own", async () => {
  const folder = join(root, "third", "nvrtc");
  mkdirSync(join(root, "third"));
  filled(join(root, "third-site/nvidia/cu13/lib"));
  const requirements = join(root, "third-requirements.txt");
  const script = `/bin/mv "${root}/third-site" site; /bin/cp requirements.txt "${requirements}"`;
  await fetchNvrtc(folder, uv("third", script));
  const own = WHEELS[0]!;
  expect(readdirSync(folder).toSorted()).toEqual(own.libraries.map(({ name }) => name).toSorted());
  expect(await Bun.file(requirements).text()).toBe(
    `${own.name}==${own.version} --hash=sha256:${own.sha256}\n`,
  );
});

test("a fetch that a signal ends leaves neither a process nor a file", async () => {
  const [native, file] = [join(root, "ended"), join(root, "ended.pid")];
  mkdirSync(native);
  const env = JSON.stringify(uv("ended", longScript(file)));
  const module = join(import.meta.dir, "../../scripts/setup/cuda.ts");
  const program = `import { fetchNvrtc } from ${JSON.stringify(module)};
    await fetchNvrtc(${JSON.stringify(join(native, "nvrtc"))}, ${env});`;
  const child = Bun.spawn([process.execPath, "-e", program]);
  while (!existsSync(file)) await Bun.sleep(5);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(143);
  expect(readdirSync(native)).toEqual([]);
  await expectEnded(file);
});

test("a command that takes too long is ended with its children", async () => {
  const file = join(root, "late.pid");
  const started = performance.now();
  const failure = await runSilently(["sh", "-c", longScript(file)], root, process.env, 1000);
  expect(failure).toBe("timed out after 1 s");
  expect(performance.now() - started).toBeLessThan(20_000);
  await expectEnded(file);
  expect(await runSilently(["sh", "-c", "kill -9 $$"], root)).toBe("ended by SIGKILL");
});
