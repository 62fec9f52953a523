/** Whether launches fit every device: registers and shared memory of a block. */
import type { Launch, Observe } from "../../ffi/cuda/observe.ts";
import type { KernelUses, RegisterTable } from "./registers.ts";

/**
 * KiB of shared memory that a block may have, static and dynamic together, by compute capability:
 * CUDA C++ Programming Guide, technical specifications.
 */
const SHARED_KIB: Readonly<Record<number, number>> = {
  80: 163,
  86: 99,
  89: 99,
  90: 227,
  100: 227,
  120: 99,
};

/**
 * Shared memory that a block may have, static and dynamic, unless more is requested. The launcher
 * requests more where the dynamic part alone is above it.
 */
const REQUESTED_ABOVE = 48 * 1024;

/** Registers of a block, at most; a warp gets them in units of 256, 8 a thread. */
const [MOST_REGISTERS, UNIT, WARP] = [65_536, 8, 32];

/** Collects how kernels are started, with the largest block and shared memory of each. */
export function watchLaunches() {
  const largest = new Map<string, Launch>();
  const observe: Observe = (name, queue, launch) => {
    queue();
    if (launch === undefined) return;
    const { threads, shared } = largest.get(name) ?? { threads: 0, shared: 0 };
    largest.set(name, {
      threads: Math.max(threads, launch.threads),
      shared: Math.max(shared, launch.shared),
    });
  };
  return { observe, largest: largest as ReadonlyMap<string, Launch> };
}

/** All kernels of the table by name. */
export const kernelsOf = ({ families }: Pick<RegisterTable, "families">) =>
  new Map(Object.values(families).flatMap(({ kernels }) => Object.entries(kernels)));

/** What does not fit, in words: launches that some device of the table refuses. */
export function misfits(
  table: Pick<RegisterTable, "families" | "capabilities">,
  largest: ReadonlyMap<string, Launch>,
): string[] {
  const kernels = kernelsOf(table);
  return [...largest].flatMap(([name, launch]) => {
    const uses = kernels.get(name);
    if (uses === undefined) return [`${name} is not in registers.json`];
    return table.capabilities.flatMap((capability, at) =>
      misfitsOn(capability, uses, at, launch).map((text) => `${name} on sm_${capability}: ${text}`),
    );
  });
}

function misfitsOn(
  capability: number,
  { registers, shared, threads }: KernelUses,
  at: number,
  launch: Launch,
): string[] {
  const warps = Math.ceil(launch.threads / WARP);
  const ofBlock = Math.ceil(registers[at]! / UNIT) * UNIT * WARP * warps;
  const bytes = shared[at]! + launch.shared;
  const most = 1024 * (SHARED_KIB[capability] ?? 0);
  const isRequested = launch.shared > REQUESTED_ABOVE;
  return [
    ...(!isRequested && bytes > REQUESTED_ABOVE
      ? [`${bytes} bytes of shared memory, not requested`]
      : []),
    ...(launch.threads > threads ? [`${launch.threads} threads, bounded to ${threads}`] : []),
    ...(ofBlock > MOST_REGISTERS ? [`${ofBlock} registers, at most ${MOST_REGISTERS}`] : []),
    ...(bytes > most ? [`${bytes} bytes of shared memory, at most ${most}`] : []),
  ];
}
