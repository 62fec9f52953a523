import { errors } from "../../core/errors.ts";
import { checkThreads } from "../../core/thread-limit.ts";
import { openLibrary } from "../load.ts";
import { withoutSignals } from "../signals.ts";
import { REBUILD } from "./build.ts";
import { defaultThreads, type OpenMp } from "./openmp.ts";

/** kernels/team.c */
export const TEAM_SYMBOLS = {
  adl_team_size: { args: [], returns: "i32" },
} as const;

/**
 * Makes `threads` (default: one per core) the size of every team of the process.
 *
 * Kernels and oneDNN split their work by the requested size, and a smaller team would leave parts
 * of it undone. Returns the size. Throws E_MACHINE when OpenMP grants fewer, and E_FLAG for too many.
 */
export function startTeam(
  openmp: OpenMp,
  kernels: string,
  threads = defaultThreads(openmp),
): number {
  checkThreads(threads);
  openmp.setThreads(threads);
  const { symbols } = openLibrary("the CPU kernels", [kernels], TEAM_SYMBOLS, REBUILD);
  const granted = withoutSignals(symbols.adl_team_size)();
  if (granted === threads) return threads;
  const limit = process.env["OMP_THREAD_LIMIT"];
  throw errors.machine(
    `OpenMP grants ${granted} of the ${threads} requested threads` +
      (limit === undefined ? "" : `: OMP_THREAD_LIMIT is ${limit}`),
    `use --threads ${granted}, or raise OMP_THREAD_LIMIT`,
  );
}
