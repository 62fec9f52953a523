import { settings } from "../core/config/settings.ts";
import { deviceSetting } from "./backend.ts";

/** The options of a run, where `device` is one of this program's devices. */
export const runSettings = { ...settings, device: deviceSetting() };
