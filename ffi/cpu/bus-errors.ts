import { checked, openLibrary } from "../load.ts";
import { AdaloraError } from "../../core/errors.ts";
import { compiledKernels, REBUILD } from "./build.ts";
import { openOpenMp } from "./openmp.ts";

/** kernels/bus-error.c */
export const BUS_ERRORS = { adl_report_bus_errors: { args: [], returns: "i32" } } as const;

/**
 * Ends the process with exit code 1 and one line that names the file when a mapped file has shrunk
 * or cannot be read, instead of the runtime's crash report.
 */
export function reportBusErrors(kernels: string): void {
  const { symbols } = openLibrary("the CPU kernels", [kernels], BUS_ERRORS, REBUILD);
  checked("adl_report_bus_errors", symbols.adl_report_bus_errors, () => "the system refuses")();
}

/**
 * The same for a process that may use no kernels itself. Does nothing where they are not compiled or
 * do not load: a file that shrinks then ends it with the runtime's report.
 */
export function tryReportBusErrors(): void {
  try {
    const kernels = compiledKernels();
    if (kernels === undefined) return;
    openOpenMp(kernels.openmp); // before the kernels, which would load it with other settings
    reportBusErrors(kernels.path);
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
  }
}
