import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { homeFolder } from "../../core/io/user-cache.ts";
import { findLibraries, libraryDirs, nativeDir } from "../paths.ts";

type Environment = NodeJS.ProcessEnv;

/** Supported major versions of CUDA's libraries, preferred first. */
export const MAJORS = [13, 12] as const;
/** One of the supported major versions: all libraries are of the same. */
export type Major = (typeof MAJORS)[number];

/** Candidate paths of the libraries of one major version, in the order in which they are tried. */
export interface CudaLibraries {
  readonly major: Major;
  readonly nvrtc: readonly string[];
  /** cuBLAS needs cuBLASLt, which is loaded first. */
  readonly cublasLt: readonly string[];
  readonly cublas: readonly string[];
}

/** Candidate paths of cuSOLVER, which is never fetched, and of what it needs beside cuBLAS. */
export interface SolverLibraries {
  readonly nvJitLink: readonly string[];
  readonly cusparse: readonly string[];
  readonly cusolver: readonly string[];
}

/** cuSOLVER's own major version is not CUDA's. */
const CUSOLVER_NAMES: Readonly<Record<Major, string>> = {
  13: "libcusolver.so.12",
  12: "libcusolver.so.11",
};

/** Folder into which `npm run setup -- --cuda` unpacks NVRTC and cuBLAS. */
export const fetchedCuda = () => join(nativeDir, "cuda-13");

/** Folders of a driver that are not among the system's. */
const DRIVER_DIRS = ["/usr/lib/wsl/lib", "/run/opengl-driver/lib", "/usr/local/nvidia/lib64"];

/** Candidate paths of the driver: only ADALORA_CUDA_DRIVER if set. */
export function driverCandidates(env: Environment = process.env): string[] {
  const named = env["ADALORA_CUDA_DRIVER"];
  if (named !== undefined && named !== "") return [named];
  return findLibraries(/^libcuda\.so\.1$/, [...libraryDirs(env), ...DRIVER_DIRS]);
}

/** Folders that were searched for the driver, for messages. */
export const driverDirs = (env: Environment = process.env) => [...libraryDirs(env), ...DRIVER_DIRS];

/** Folders of the wheels of one major version, below site-packages. */
const WHEEL_DIRS: Readonly<Record<Major, readonly string[]>> = {
  13: ["nvidia/cu13/lib"],
  12: ["cuda_nvrtc", "cublas", "nvjitlink", "cusparse", "cusolver"].map(
    (name) => `nvidia/${name}/lib`,
  ),
};

/**
 * Folders that are searched for CUDA's libraries: only ADALORA_CUDA if set, else set-up's own, the
 * wheels that torch brings, conda, CUDA_HOME, /usr/local/cuda* and the system's.
 */
export function cudaDirs(major: Major, env: Environment = process.env): string[] {
  const named = env["ADALORA_CUDA"];
  if (named !== undefined && named !== "") return [named];
  const wheels = sitePackages(env).flatMap((site) =>
    WHEEL_DIRS[major].map((dir) => join(site, dir)),
  );
  const homes = [...foldersIn(env, "CUDA_HOME", "CUDA_PATH"), ...installations(major)];
  return [
    fetchedCuda(),
    ...wheels,
    ...foldersIn(env, "CONDA_PREFIX").flatMap((conda) => [
      join(conda, "lib"),
      join(conda, "targets/x86_64-linux/lib"),
    ]),
    ...homes.flatMap((home) => [join(home, "lib64"), join(home, "targets/x86_64-linux/lib")]),
    ...libraryDirs(env),
  ];
}

/** The libraries of one major version. */
export function cudaLibraries(major: Major, env: Environment = process.env): CudaLibraries {
  const dirs = cudaDirs(major, env);
  const find = (name: string, among = dirs) => findNamed(`${name}.so.${major}`, among);
  const cublas = find("libcublas");
  const near = besideFirst(cublas, dirs); // both are of one release
  return { major, nvrtc: find("libnvrtc"), cublasLt: find("libcublasLt", near), cublas };
}

/** cuSOLVER of one major version of CUDA; of what it needs, the files beside it come first. */
export function solverLibraries(major: Major, env: Environment = process.env): SolverLibraries {
  const dirs = cudaDirs(major, env);
  const cusolver = findNamed(CUSOLVER_NAMES[major], dirs);
  const near = besideFirst(cusolver, dirs);
  return {
    nvJitLink: findNamed(`libnvJitLink.so.${major}`, near),
    cusparse: findNamed("libcusparse.so.12", near),
    cusolver,
  };
}

/** The error's line where cuSOLVER is missing. */
export const missingSolver = (major: Major, env?: Environment) =>
  `no ${CUSOLVER_NAMES[major]} in ${cudaDirs(major, env).join(", ")}`;

/** Whether all libraries of a major version were found. */
export const isComplete = ({ nvrtc, cublasLt, cublas }: CudaLibraries) =>
  [nvrtc, cublasLt, cublas].every((paths) => paths.length > 0);

/**
 * The libraries of the newest major version that the driver can run and that are all there, or else
 * those of the newest that it can run. `driverVersion`: as cuDriverGetVersion, 12040 for 12.4.
 */
export function chooseLibraries(
  driverVersion: number,
  env: Environment = process.env,
): CudaLibraries {
  const usable = MAJORS.filter((major) => 1000 * major <= driverVersion);
  const found = (usable.length > 0 ? usable : MAJORS.slice(-1)).map((major) =>
    cudaLibraries(major, env),
  );
  return found.find(isComplete) ?? found[0]!;
}

/** Python's package folders: of environments, of the system, of the user. */
function sitePackages(env: Environment): string[] {
  const home = homeFolder(env);
  const roots = [
    ...foldersIn(env, "VIRTUAL_ENV", "CONDA_PREFIX"),
    ...(home === undefined ? [] : [join(home, ".local")]),
    "/usr",
    "/usr/local",
    ...namesIn("/opt").flatMap((name) => [join("/opt", name), join("/opt", name, ".venv")]),
  ];
  return roots.flatMap((root) =>
    ["lib", "lib64"].flatMap((lib) =>
      namesIn(join(root, lib))
        .filter((name) => name.startsWith("python3"))
        .flatMap((name) =>
          ["site-packages", "dist-packages"].map((site) => join(root, lib, name, site)),
        )
        .filter(existsSync),
    ),
  );
}

/** /usr/local/cuda, then /usr/local/cuda-13.0 and others, newest first, and Arch Linux's /opt/cuda. */
function installations(major: Major): string[] {
  const versions = namesIn("/usr/local")
    .filter((name) => name.startsWith(`cuda-${major}`))
    .toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }));
  return ["/usr/local/cuda", ...versions.map((name) => join("/usr/local", name)), "/opt/cuda"];
}

/** Folders, those of some files first. */
const besideFirst = (files: readonly string[], dirs: readonly string[]) => [
  ...new Set([...files.map((path) => dirname(path)), ...dirs]),
];

/** Files of exactly this name. */
const findNamed = (name: string, dirs: readonly string[]) =>
  findLibraries(new RegExp(`^${name.replaceAll(".", "\\.")}$`), dirs);

/** The folders that environment variables name. */
const foldersIn = (env: Environment, ...variables: readonly string[]) =>
  variables.flatMap((name) => (env[name] ? [env[name]] : []));

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // no such folder on this system
  }
}
