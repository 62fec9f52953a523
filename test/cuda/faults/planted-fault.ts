/** A fault planted in a source: `find`, which occurs there, is replaced. */
export interface PlantedFault {
  readonly what: string;
  /** Below ffi/cuda. */
  readonly file: string;
  /** The kernels' source that is compiled, where the fault lies in one or in a header. */
  readonly family?: string;
  readonly find: string;
  readonly replace: string;
  /** Conformance cases whose names begin so must find it, or a test whose name has these words. */
  readonly cases: string;
  /** The test in test/cuda that runs these; default: conformance.test.ts. */
  readonly test?: string;
}

/** A fault in a kernels' source. */
export const inKernel = (
  family: string,
  fault: Omit<PlantedFault, "file" | "family">,
): PlantedFault => ({
  file: `kernels/${family}.cu`,
  family,
  ...fault,
});

/** A fault in a header, which shows in a family that includes it. */
export const inHeader = (
  header: string,
  family: string,
  fault: Omit<PlantedFault, "file" | "family">,
): PlantedFault => ({ file: `kernels/${header}.h`, family, ...fault });

/** A barrier, as kernels call it. */
export const BARRIER = "__syncthreads();";
