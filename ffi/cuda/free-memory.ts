import { openContext } from "./context.ts";
import { out } from "./driver.ts";
import { openSystemDriver } from "./open.ts";

/** Free bytes of a device's memory, beside what its context takes. Throws as opening it does. */
export function freeBytes(ordinal: number): number {
  const { driver } = openSystemDriver();
  openContext(driver, ordinal);
  const total = new BigUint64Array(new ArrayBuffer(8));
  driver.call("cuMemGetInfo_v2", undefined, out, total);
  return Number(out[0]);
}
