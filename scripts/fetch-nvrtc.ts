/** Fetches NVRTC (58 MB), with which tests compile kernels where no other is installed. */
import { AdaloraError } from "../core/errors.ts";
import { fetchNvrtc } from "./setup/cuda.ts";

try {
  await fetchNvrtc();
} catch (error) {
  if (!(error instanceof AdaloraError)) throw error;
  console.error(`NVRTC is not fetched, tests that need it are skipped: ${error.message}`);
}
