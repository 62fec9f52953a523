import { checked, openLibrary } from "../load.ts";
import { REBUILD } from "./build.ts";

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
