/** Fetches NVRTC (58 MB), for tests that compile kernels where no other NVRTC is installed. */
import { AdaloraError } from "../core/errors.ts";
import { fetchNvrtc } from "./setup/cuda.ts";

try {
  await fetchNvrtc();
} catch (error) {
  if (!(error instanceof AdaloraError)) throw error;
  console.error(`could not fetch NVRTC, so tests that need it are skipped: ${error.message}`);
}
