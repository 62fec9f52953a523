import { isUsedByMethod, type RunConfig, settingNames } from "../core/config/run-config.ts";
import { settings } from "../core/config/settings.ts";

/** The same run with another method; options that the method does not use get their defaults. */
export function withMethod<Config extends RunConfig>(
  config: Config,
  method: RunConfig["method"],
): Config {
  const unused = settingNames.filter((name) => !isUsedByMethod(name, method));
  const defaults = Object.fromEntries(unused.map((name) => [name, settings[name].fallback]));
  return { ...config, ...defaults, method };
}
