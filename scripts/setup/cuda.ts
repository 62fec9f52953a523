import { existsSync, statSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { AdaloraError, errors } from "../../core/errors.ts";
import { driverCandidates, fetchedCuda } from "../../ffi/cuda/libraries.ts";
import { openSystemDriver, shownVersion } from "../../ffi/cuda/open.ts";
import { nativeDir } from "../../ffi/paths.ts";
import { moveIntoPlace } from "./move-into-place.ts";
import { inScratchFolder } from "./scratch-folder.ts";
import { fetchWheels, unpackWheel, type Wheel, wheelsIn } from "./wheels.ts";

/** A library of a wheel, with its size. */
interface Library {
  readonly name: string;
  readonly bytes: number;
}

/** A wheel and what is unpacked of it. */
interface CudaWheel extends Wheel {
  readonly libraries: readonly Library[];
}

const FOLDER = "nvidia/cu13/lib";

const NVRTC: CudaWheel = {
  name: "nvidia-cuda-nvrtc",
  version: "13.2.86",
  sha256: "8111c5130e967b78222ea2124145f8efe9ce201b752b2579a2513100a53be1c5",
  libraries: [
    { name: "libnvrtc.so.13", bytes: 115_333_336 },
    { name: "libnvrtc-builtins.so.13.2", bytes: 4_442_056 },
  ],
};

/** NVRTC and cuBLAS of CUDA 13, for drivers from 580 on. */
export const WHEELS: readonly CudaWheel[] = [
  NVRTC,
  {
    name: "nvidia-cublas",
    version: "13.4.1.3",
    sha256: "a5917cb642cfb07f4a0231ee16aec7e2e0357d8cb8b1b78a0c9c68dba3e6afc7",
    libraries: [
      { name: "libcublas.so.13", bytes: 54_198_912 },
      { name: "libcublasLt.so.13", bytes: 508_260_928 },
    ],
  },
];

/** Folder of NVRTC alone, which tests compile with: fetch-nvrtc.ts fetches it. */
export const fetchedNvrtc = () => join(nativeDir, `nvrtc-${NVRTC.version}`);

/** What fetches them again. */
const COMMAND = "npm run setup -- --cuda";

/** What set-up downloads, in MB. */
export const CUDA_MEGABYTES = 500;

/** The download takes as long as the line needs. */
const LIMIT_MS = 3_600_000;

/** Whether set-up's copy of NVRTC and cuBLAS is complete. */
export const isCudaFetched = (folder = fetchedCuda()) => isComplete(WHEELS, folder);

/** The driver's version that they need, as cuDriverGetVersion tells it. */
const LEAST_DRIVER = 13_000;

/** Why this machine's driver can't run what set-up fetches; undefined where it can, or there is none. */
export function driverProblem(env = process.env): string | undefined {
  if (driverCandidates(env).length === 0) return undefined;
  try {
    const { version } = openSystemDriver(env);
    if (version >= LEAST_DRIVER) return undefined;
    return `they need NVIDIA's driver 580 or newer; this one supports CUDA ${shownVersion(version)} only`;
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    return error.lines.join(": ");
  }
}

const isComplete = (wheels: readonly CudaWheel[], folder: string) =>
  wheels
    .flatMap(({ libraries }) => libraries)
    .every(({ name, bytes }) => {
      const path = join(folder, name);
      return existsSync(path) && statSync(path).size === bytes;
    });

/**
 * Fetches NVRTC and cuBLAS with pip or uv and installs them atomically, unless they are there.
 * Throws E_MACHINE with what is missing, or E_FILE if a wheel is not the expected one.
 */
export async function fetchCuda(folder = fetchedCuda(), env = process.env): Promise<void> {
  await fetchAll(WHEELS, folder, env);
}

/** Fetches NVRTC alone (58 MB), as `fetchCuda` does. */
export async function fetchNvrtc(folder = fetchedNvrtc(), env = process.env): Promise<void> {
  await fetchAll([NVRTC], folder, env);
}

async function fetchAll(wheels: readonly CudaWheel[], folder: string, env: NodeJS.ProcessEnv) {
  if (isComplete(wheels, folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  await inScratchFolder(dirname(folder), async (scratch) => {
    await fetchWheels(wheels, scratch, env, {
      noFetcher: `apt-get install python3-pip, or install CUDA 12 or 13, then: ${COMMAND}`,
      failed: `check the network, then: ${COMMAND}`,
      limit: LIMIT_MS,
    });
    const whole = join(scratch, basename(folder));
    await mkdir(whole);
    for (const file of await wheelsIn(scratch)) await unpackOne(file, scratch, env);
    for (const { name, libraries } of wheels)
      for (const { name: library, bytes } of libraries) {
        const unpacked = [join(scratch, FOLDER, library), join(scratch, "site", FOLDER, library)];
        const path = unpacked.find((each) => existsSync(each));
        if (path === undefined || statSync(path).size !== bytes)
          throw errors.file(name, `has no ${library} of ${bytes} bytes`);
        await rename(path, join(whole, library));
      }
    moveIntoPlace(whole, folder, () => isComplete(wheels, folder));
  });
}

async function unpackOne(file: string, to: string, env: NodeJS.ProcessEnv) {
  const wheel = WHEELS.find(({ name }) => basename(file).startsWith(name.replaceAll("-", "_")));
  if (wheel === undefined) throw errors.file(file, "is none of the expected wheels");
  const members = wheel.libraries.map(({ name }) => `${FOLDER}/${name}`);
  await unpackWheel(file, members, to, env, { command: COMMAND, limit: LIMIT_MS });
  await rm(file);
}
