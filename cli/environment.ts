import { arch, cpus, platform } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import type { Backend } from "../core/backend.ts";
import type { Environment } from "../core/run/results.ts";

/** What the bits of a run's result depend on, beside its settings and data. */
export function environmentOf({ name, activation, master, details }: Backend): Environment {
  return {
    version: packageJson.version,
    bun: Bun.version,
    platform: `${platform()}-${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    device: name,
    dtype: activation,
    master_dtype: master,
    threads: null,
    ...details,
  };
}
