import { decomposeOn } from "../core/decomposer.ts";
import type { Decompose } from "../core/jacobi-svd.ts";
import type { Backend } from "../core/backend.ts";
import { choice, type Setting } from "../core/config/setting.ts";
import type { Device, RunDType } from "../core/device.ts";
import { AdaloraError, errors, invariant } from "../core/errors.ts";
import { checkThreads } from "../core/thread-limit.ts";
import { devices } from "./devices.ts";

/** Where to compute, as the user gives it. */
export interface DeviceOptions {
  /** `auto`, or a device's name. */
  readonly device: string;
  readonly dtype: "auto" | RunDType;
  /** null: one thread per core. */
  readonly threads: number | null;
  /** Rounds float factors of matrix products to TF32; only some devices can. */
  readonly tf32?: boolean | undefined;
  /** Waits for each kernel; only for devices whose calls return early. */
  readonly debugSync?: boolean | undefined;
}

type Choice = Pick<DeviceOptions, "device" | "dtype"> & Partial<DeviceOptions>;

/** The flag and key `device`: one of the devices by name, or `auto`. */
export function deviceSetting(among: readonly Device[] = devices): Setting<string> {
  const shown = among.filter(({ hidden }) => hidden === undefined);
  const names = ["auto", ...shown.map(({ name }) => name)];
  const abouts = shown.map(({ name, about }) => `${name}: ${about}`);
  const about = ["auto: the fastest that works on this machine", ...abouts].join("; ");
  const listed = choice(names, "auto", about);
  const other = (raw: unknown) =>
    typeof raw === "string" && named(raw, among) !== undefined ? raw : undefined;
  return { ...listed, read: (raw) => listed.read(raw) ?? other(raw) };
}

/** The device of this name, or of a name with a number: "cuda:1". */
function named(name: string, among: readonly Device[]): Device | undefined {
  const [, base, n] = /^(.+):(\d{1,3})$/.exec(name) ?? [];
  const one = among.find((each) => each.name === base);
  return one?.numbered?.(Number(n)) ?? among.find((each) => each.name === name);
}

/**
 * The device that a name stands for. `auto`: the first automatic one that this machine can run in
 * the requested dtype, or else the last automatic one. Throws E_FLAG for an unknown name.
 */
export function deviceFor(
  { device: name, dtype }: Choice,
  among: readonly Device[] = devices,
): Device {
  const one = named(name, among);
  const candidates =
    name === "auto" ? among.filter(({ automatic }) => automatic) : one ? [one] : [];
  const found =
    candidates.find((each) => usableDtypes(each, dtype).length > 0) ?? candidates.at(-1);
  if (found !== undefined) return found;
  throw errors.flag("device", `must be ${deviceSetting(among).want}, got ${JSON.stringify(name)}`);
}

/** The dtype that `auto` stands for on this machine: the first of the device's that it can run. */
export function resolveDtype(options: Choice, among?: readonly Device[]): RunDType {
  const { dtype } = options;
  if (dtype !== "auto") return dtype;
  const device = deviceFor(options, among);
  const resolved = usableDtypes(device, "auto")[0] ?? device.dtypes.at(-1);
  invariant(resolved !== undefined, "a device has a dtype");
  return resolved;
}

/**
 * Throws E_FLAG for a device, dtype, --tf32 or --debug-sync that this version or this machine does
 * not have, and for more threads than it can use; loads no library.
 */
export function checkBackend(options: Choice, among?: readonly Device[]): void {
  const { dtype, threads = null, tf32 = false, debugSync = false } = options;
  checkThreads(threads);
  const device = deviceFor(options, among);
  const { name, dtypes } = device;
  if (tf32 && device.tf32 === undefined)
    throw errors.flag("tf32", `needs ${capable(among, "tf32")}: ${name} has no TF32 products`);
  if (debugSync && device.debugSync === undefined)
    throw errors.flag(
      "debug-sync",
      `needs ${capable(among, "debugSync")}: ${name} reports errors where they happen`,
    );
  if (dtype !== "auto" && !dtypes.includes(dtype)) {
    throw errors.flag(
      "dtype",
      `must be ${dtypes.join(" or ")} with --device ${name}, got ${dtype}`,
    );
  }
  const refusal = device.refusal(resolveDtype(options, among));
  if (refusal === undefined) return;
  const others = usableDtypes(device, "auto");
  if (others.length > 0) throw errors.flag("dtype", `must be ${others.join(" or ")}: ${refusal}`);
  throw errors.flag("device", `can't be ${name} on this machine: ${refusal}`);
}

/**
 * Opens the device of the options. Native code is loaded here and nowhere else. Throws as
 * checkBackend and Device.open do.
 */
export async function openBackend(
  options: DeviceOptions,
  among?: readonly Device[],
): Promise<Backend> {
  checkBackend(options, among);
  await reportBusErrors();
  const dtype = resolveDtype(options, among);
  const { threads, tf32, debugSync } = options;
  return deviceFor(options, among).open({ dtype, threads, tf32, debugSync });
}

/**
 * How the device of the options decomposes small matrices; undefined: on the CPU. `note` gets a line
 * that says what was used. The library is loaded at the first call. Throws E_FLAG for a device that
 * this machine does not have.
 */
export async function openDecompose(
  options: Choice,
  note: (line: string) => void,
  among?: readonly Device[],
): Promise<Decompose | undefined> {
  const device = deviceFor(options, among);
  if (device.decomposer === undefined) return undefined;
  checkBackend(options, among);
  return decomposeOn(await device.decomposer(), note);
}

// --- internal ---

/** The flag that chooses a device with an ability, for an error: "--device cuda". */
function capable(among: readonly Device[] = devices, ability: "tf32" | "debugSync"): string {
  const able = among.filter((each) => each[ability] && !each.hidden).map(({ name }) => name);
  return able.length > 0 ? `--device ${able.join(" or ")}` : "another device";
}

/** On every device, as far as this machine has the handler. */
async function reportBusErrors(): Promise<void> {
  try {
    (await import("../ffi/cpu/bus-errors.ts")).tryReportBusErrors();
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error; // from a system without glibc
  }
}

/** Of the requested dtypes (`auto`: all) those that the device has and this machine can run. */
function usableDtypes(device: Device, requested: Choice["dtype"]): readonly RunDType[] {
  return device.dtypes.filter(
    (dtype) => (requested === "auto" || requested === dtype) && device.refusal(dtype) === undefined,
  );
}
