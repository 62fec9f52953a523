import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { chooseLibraries, cudaDirs, cudaLibraries } from "../../ffi/cuda/libraries.ts";
import { imageFolder } from "../../ffi/cuda/images.ts";
import { findLibrariesFor } from "../../ffi/cuda/open.ts";

const root = mkdtempSync(join(tmpdir(), "adalora libraries "));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A folder of empty files with the names of a major version's libraries. */
function folderOf(
  name: string,
  libraries: readonly string[],
  ...majors: readonly number[]
): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  for (const library of libraries)
    for (const major of majors) writeFileSync(join(folder, `lib${library}.so.${major}`), "");
  return folder;
}

const ALL = ["nvrtc", "cublas", "cublasLt"];

/** The error's lines and hint; an empty text where there is none. */
function failure(version: number, env: NodeJS.ProcessEnv): string {
  try {
    findLibrariesFor(version, env);
    return "";
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    return [...error.lines, error.hint].join("\n");
  }
}

test("the libraries are of the newest major version that the driver runs and that is whole", () => {
  const both = { ADALORA_CUDA: folderOf("both", ALL, 12, 13) };
  const chosen = (version: number, env: NodeJS.ProcessEnv) => chooseLibraries(version, env).major;
  expect([12_000, 12_090, 13_000, 14_010].map((version) => chosen(version, both))).toEqual([
    12, 12, 13, 13,
  ]);
  const folder = folderOf("parts", ["nvrtc"], 12, 13);
  folderOf("parts", ["cublas", "cublasLt"], 12);
  expect(chosen(13_000, { ADALORA_CUDA: folder })).toBe(12);
  const { nvrtc } = chooseLibraries(13_000, both);
  expect(nvrtc).toEqual([join(root, "both", "libnvrtc.so.13")]); // a path with spaces
});

test("an old driver and missing libraries are different errors", () => {
  const newer = { ADALORA_CUDA: folderOf("newer", ALL, 13) };
  expect(failure(13_000, newer)).toBe("");
  const old = failure(12_000, newer);
  expect(old).toContain(`no libnvrtc.so.12 in ${root}/newer`);
  expect(old).toContain("the driver supports CUDA 12.0: install CUDA 12's (pip install ");
  expect(old).toContain("or update the driver to 580 or newer, which CUDA 13's libraries need");
  expect(old).toEndWith(", as those that are here do");
  expect(old).not.toContain("npm run setup"); // which fetches CUDA 13's
  const empty = { ADALORA_CUDA: folderOf("empty", []) };
  expect(failure(12_040, empty)).toEndWith("libraries need");
  expect(failure(13_000, empty)).toContain("npm run setup -- --cuda fetches them");
});

test("cuBLASLt is the one beside cuBLAS, whatever folder comes first", () => {
  const conda = join(root, "conda");
  folderOf("conda/lib", ["cublasLt"], 13);
  const home = join(root, "home");
  folderOf("home/lib64", ["cublas", "cublasLt"], 13);
  const { cublas, cublasLt } = cudaLibraries(13, { CONDA_PREFIX: conda, CUDA_HOME: home });
  const of = (paths: readonly string[]) => paths.filter((path) => path.startsWith(root));
  expect(of(cublas)).toEqual([join(home, "lib64/libcublas.so.13")]);
  expect(of(cublasLt)).toEqual([
    join(home, "lib64/libcublasLt.so.13"),
    join(conda, "lib/libcublasLt.so.13"),
  ]);
});

test("wheels, conda, CUDA_HOME and installations are searched in this order", () => {
  const venv = join(root, "venv");
  const site = "lib/python3.12/site-packages";
  mkdirSync(join(venv, site), { recursive: true });
  const env = { VIRTUAL_ENV: venv, CONDA_PREFIX: "/c", CUDA_HOME: "/h", HOME: root };
  const after = (major: 12 | 13, ...expected: readonly string[]) => {
    const dirs = cudaDirs(major, env);
    const at = expected.map((dir) => dirs.indexOf(dir));
    expect([expected, at.includes(-1)]).toEqual([expected, false]);
    expect(at).toEqual(at.toSorted((a, b) => a - b));
  };
  after(13, join(venv, site, "nvidia/cu13/lib"), "/c/lib", "/h/lib64", "/usr/local/cuda/lib64");
  after(12, join(venv, site, "nvidia/cublas/lib"), "/c/lib", "/opt/cuda/lib64", "/usr/lib64");
});

test("kernels are kept in the user's cache", () => {
  expect(imageFolder({ HOME: "/h" })).toBe("/h/.cache/adalora/cuda-kernels");
  expect(imageFolder({ HOME: "/h", XDG_CACHE_HOME: "/x" })).toBe("/x/adalora/cuda-kernels");
  expect(imageFolder({ XDG_CACHE_HOME: "relative", HOME: "/h" })).toStartWith("/h/");
});
