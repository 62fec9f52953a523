import type { DeviceMemory } from "../../core/device.ts";
import { whileOpen } from "./close-all.ts";
import { openContext } from "./context.ts";
import { out } from "./driver.ts";
import { openSystemDriver } from "./open.ts";

/** A device's memory, without what its context takes. Throws as opening it does. */
export function deviceMemory(ordinal: number): DeviceMemory {
  const { driver } = openSystemDriver();
  return whileOpen((onOpen) => {
    openContext(driver, ordinal, onOpen);
    const total = new BigUint64Array(new ArrayBuffer(8));
    driver.call("cuMemGetInfo_v2", undefined, out, total);
    return { kind: "own", weights: "resident", free: Number(out[0]), total: Number(total[0]) };
  });
}
