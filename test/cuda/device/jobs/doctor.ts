/** Whether the device, its driver and its libraries are there: fails without any of them. */
import { check, type Finding } from "../../../../core/finding.ts";
import { dotted, usableDevice } from "../../../../ffi/cuda/context.ts";
import { openCublasLibrary } from "../../../../ffi/cuda/cublas.ts";
import { openCublasLtLibrary } from "../../../../ffi/cuda/cublaslt-symbols.ts";
import { MAJORS } from "../../../../ffi/cuda/libraries.ts";
import { openNvrtc } from "../../../../ffi/cuda/nvrtc.ts";
import { findLibrariesFor, openSystemDriver, shownVersion } from "../../../../ffi/cuda/open.ts";
import { EMULATED, openTarget, ordinalOf } from "../target.ts";
import { emit, type Flags, say, runAsJob } from "./job.ts";

await runAsJob(async (flags) => {
  const findings = flags.device === EMULATED ? [await emulated(flags)] : await real(flags);
  for (const finding of findings) emit(finding);
  const failures = findings.filter(({ ok }) => !ok);
  for (const { what, found } of failures) say(`${what}: ${found.split("\n")[0]}`);
  return failures.length === 0;
});

function emulated(flags: Flags): Promise<Finding> {
  return check("emulated device", async () => (await openTarget(flags)).name);
}

/** Without a driver, the libraries that the newest would need are looked for all the same. */
async function real({ device }: Flags): Promise<Finding[]> {
  let version = 1000 * Math.max(...MAJORS);
  const driver = await check("driver and device", () => {
    const opened = openSystemDriver();
    ({ version } = opened);
    const { name, totalBytes, capability, multiprocessors, sharedLimit } = usableDevice(
      opened.driver,
      ordinalOf(device),
    );
    return [
      `${name}, ${(totalBytes / 2 ** 30).toFixed(1)} GiB, capability ${dotted(capability)}`,
      `${multiprocessors} multiprocessors, ${sharedLimit} bytes of shared memory a block`,
      `driver for CUDA ${shownVersion(version)}, ${opened.driver.path}`,
    ].join("; ");
  });
  const nvrtc = await check("NVRTC", () => {
    const opened = openNvrtc(findLibrariesFor(version).nvrtc);
    return `${opened.version}, ${opened.path}`;
  });
  const cublas = await check("cuBLAS", () => {
    const libraries = findLibrariesFor(version);
    openCublasLtLibrary(libraries.cublasLt);
    return openCublasLibrary(libraries.cublas).path;
  });
  return [driver, nvrtc, cublas];
}
