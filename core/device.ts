import type { Decomposer } from "./decomposer.ts";
import type { Backend } from "./backend.ts";
import type { Finding } from "./finding.ts";

/** A type that a run may request for its frozen weights and activations (`--dtype`). */
export type RunDType = "f32" | "bf16";

/** How to open a device. */
export interface OpenOptions {
  readonly dtype: RunDType;
  /** null: one thread per core. */
  readonly threads: number | null;
  /** Rounds float factors of matrix products to TF32; false by default. */
  readonly tf32?: boolean | undefined;
  /** Waits for each kernel, so that an error names the kernel that caused it; false by default. */
  readonly debugSync?: boolean | undefined;
}

/** A backend that computes nothing and counts what a run would allocate. */
export interface MemoryModel extends Backend {
  /**
   * Peak bytes of the memory that `Device.memory` describes. `hostData`: bytes of the data sets,
   * which the host holds.
   */
  peakBytes(hostData: number): number;
}

/** The memory in which a run's weights and buffers lie. */
export interface DeviceMemory {
  /** "host": the machine's, with the program and the data; "own": the device's, apart from it. */
  readonly kind: "host" | "own";
  /** Bytes that a run may still allocate. */
  readonly free: number;
  /** All of it, in bytes. */
  readonly total: number;
  /** "mapped": frozen weights are used in place in their file; "resident": they are copied. */
  readonly weights: "mapped" | "resident";
}

/**
 * A place where a run can compute. Each device is one folder that exports one of these, and one
 * entry in `cli/devices.ts`; nothing else depends on a device's name. Everything but `open`,
 * `memoryModel`, `memory`, `doctor` and `embeddedFiles` must be cheap and load no library: help
 * pages and argument checks read it.
 */
export interface Device {
  /** The value of `--device`. */
  readonly name: string;
  /** A few words for the help page: "slow and exact". */
  readonly about: string;
  /** For tests only: help pages do not name it, and `doctor` does not check it. */
  readonly hidden?: true;
  /** The n-th of several alike, from 0: `--device NAME:n`. Undefined: there is one. */
  numbered?(n: number): Device;
  /** Whether `--device auto` may pick it: the first usable one of the list. */
  readonly automatic: boolean;
  /** Values of `--dtype` that it supports, in the order in which `--dtype auto` tries them. */
  readonly dtypes: readonly RunDType[];
  /** Whether it can round the float factors of products to TF32: `--tf32`. */
  readonly tf32?: true;
  /** Whether its kernels run after their calls have returned: `--debug-sync` waits for each. */
  readonly debugSync?: true;
  /** What to try when the self-test finds wrong results. */
  readonly selfTestHint: string;
  /** Types of activations and of trained parameters when it runs in `dtype`. */
  types(dtype: RunDType): Pick<Backend, "activation" | "master">;
  /** Why this machine can't run it in `dtype`; undefined where it can. */
  refusal(dtype: RunDType): string | undefined;
  /** Throws E_LIBRARY or E_MACHINE with what to install. */
  open(options: OpenOptions): Promise<Backend>;
  /** Its library of singular value decompositions. Undefined: it has none, and the CPU's are used. */
  decomposer?(): Promise<Decomposer>;
  /** A new model of its memory, for one run. */
  memoryModel(dtype: RunDType): Promise<MemoryModel>;
  /** What memory it has now; undefined where this machine has no such device. */
  memory(): Promise<DeviceMemory | undefined>;
  /** Checks its parts, in the order in which they are loaded. */
  doctor(): Promise<readonly Finding[]>;
  /**
   * Native files that a released executable carries for it: their paths by their names below the
   * folder of native files. `scratch`: a folder for files that are made for the purpose. Throws
   * E_MACHINE where one can't be had. Undefined: it needs none.
   */
  embeddedFiles?(scratch: string): Promise<ReadonlyMap<string, string>>;
}
