import { openLibrary } from "../../load.ts";

/** Settings of the emulated device: see state.cpp. */
export const SETTINGS = [
  "order",
  "early",
  "compute",
  "idle",
  "quiet",
  "unconverged",
  "devices",
  "capability",
  "version",
  "multiprocessors",
  "virtual",
  "memory",
] as const;

/** One of `SETTINGS`. */
export type Setting = (typeof SETTINGS)[number];

/** Values of some settings. */
export type EmulatorSettings = Readonly<Partial<Record<Setting, number>>>;

/** What the emulated device has counted since the last reset. */
export interface EmulatorReport {
  readonly calls: Readonly<Record<string, number>>;
  /** Launches by kernel; "cublas" and "cublasLt" count products. */
  readonly kernels: Readonly<Record<string, number>>;
  readonly launches: number;
  readonly waits: number;
  /** Waits for work that had run already. */
  readonly emptyWaits: number;
  readonly uploads: number;
  readonly downloads: number;
  /** Bytes of the device's memory, and blocks of pinned memory, in use now. */
  readonly used: number;
  readonly pinned: number;
  /** Queued items of work that have not run. */
  readonly pending: number;
  /** The last fault of a kernel or copy. */
  readonly fault: string;
}

/** Controls of the emulated device, for tests. */
export interface EmulatorControl {
  set(setting: Setting, value: number): void;
  /** Sets several settings. */
  apply(settings: EmulatorSettings): void;
  /** Makes the nth call (from 1) of a function fail with a status; "*": of all functions. */
  fail(name: string, nth: number, status: number): void;
  /** Drops queued work, counts, planted failures and asynchronous errors. */
  reset(): void;
  report(): EmulatorReport;
}

/** Opens the controls of an emulated driver, which is process-wide. */
export function controlEmulator(driver: string): EmulatorControl {
  const { symbols } = openLibrary(
    "the emulated driver",
    [driver],
    {
      adl_emulator_set: { args: ["cstring", "i64"], returns: "i32" },
      adl_emulator_fail: { args: ["cstring", "i32", "i32"], returns: "void" },
      adl_emulator_reset: { args: [], returns: "void" },
      adl_emulator_report: { args: [], returns: "cstring" },
    },
    "g++ builds it",
  );
  function set(setting: Setting, value: number) {
    if (symbols.adl_emulator_set(setting, value) === 0) throw new Error(`no setting ${setting}`);
  }
  return {
    set,
    apply(settings) {
      for (const setting of SETTINGS) {
        const value = settings[setting];
        if (value !== undefined) set(setting, value);
      }
    },
    fail: (name, nth, status) => symbols.adl_emulator_fail(name, nth, status),
    reset: () => symbols.adl_emulator_reset(),
    report(): EmulatorReport {
      const report: EmulatorReport = JSON.parse(String(symbols.adl_emulator_report()));
      return report;
    },
  };
}
