import { referenceDevice } from "../../core/backend/reference/device.ts";
import type { Device } from "../../core/device.ts";
import { errors } from "../../core/errors.ts";
import { check, type Finding } from "../../core/finding.ts";
import { openBackend } from "../backend.ts";
import { devices } from "../devices.ts";
import { allowedDifference, selfTest } from "./self-test.ts";

/**
 * Checks the parts of every device, then tests those that this machine can run against the
 * reference.
 */
export async function deviceFindings(
  among: readonly Device[] = devices,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const device of among) {
    if (device.hidden) continue;
    findings.push(...(await device.doctor()));
    const runsF32 = device.dtypes.includes("f32") && device.refusal("f32") === undefined;
    if (!runsF32 || device === referenceDevice) continue;
    findings.push(await check("self-test", () => testDevice(device, among)));
  }
  return findings;
}

// --- internal ---

/** Tests a device in f32, where an error is larger than rounding. */
async function testDevice(device: Device, among: readonly Device[]): Promise<string> {
  const started = performance.now();
  const backend = await openBackend({ device: device.name, dtype: "f32", threads: null }, among);
  const difference = selfTest(backend);
  const text = `largest relative difference from the reference backend ${difference.toExponential(1)}`;
  if (!(difference <= allowedDifference)) {
    throw errors.machine(`${text}, ${allowedDifference} is allowed`, device.selfTestHint);
  }
  return `two AdaLoRA steps on ${device.name}: ${text}, ${Math.round(performance.now() - started)} ms`;
}
