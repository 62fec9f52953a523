import { errors } from "../../core/errors.ts";

/** Variables that OpenMP's runtime reads when it is loaded, and ends the process where it can't follow. */
const VARIABLES = ["OMP_STACKSIZE", "GOMP_STACKSIZE"] as const;

// The kernels need a few KiB and oneDNN's products some more; a thread takes 32 KiB to start at all.
const MIN_BYTES = 256 * 2 ** 10;
const MAX_BYTES = 2 ** 30;

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  "": 2 ** 10,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
};

/**
 * Checks the stack size that the environment sets for OpenMP's threads. Throws E_MACHINE for one with
 * which a thread may not start or not work.
 */
export function checkStackSize(env: NodeJS.ProcessEnv = process.env): void {
  for (const name of VARIABLES) {
    const text = env[name];
    if (text === undefined) continue;
    const bytes = bytesOf(text);
    if (bytes >= MIN_BYTES && bytes <= MAX_BYTES) continue;
    throw errors.machine(
      `${name} must be 256K to 1G, got ${JSON.stringify(text)}`,
      `unset ${name}: threads need no other stack than the system's default`,
    );
  }
}

/** NaN for a text that is no size. */
function bytesOf(text: string): number {
  const [, digits, unit = ""] = /^\s*(\d+)\s*([bkmg]?)\s*$/i.exec(text) ?? [];
  return Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN);
}
