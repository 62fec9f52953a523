import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json-file.ts";

/**
 * PEFT's lookup of a layer in `rank_pattern` or `alpha_pattern`: the first key that equals the path
 * or its last components; `^` anchors a key to the start. PEFT treats keys as regular expressions;
 * here any other special character is refused, so no pattern can backtrack catastrophically.
 */
export function parsePattern(raw: JsonObject, key: string, where: string) {
  const pattern = raw[key] ?? {};
  if (!isJsonObject(pattern)) throw errors.config(where, key, "an object of numbers", pattern);
  const values: number[] = [];
  // Key → its place, as the first match counts. A lookup tries the ends of a path, not every key.
  const anchored = new Map<string, number>();
  const endings = new Map<string, number>();
  for (const [name, value] of Object.entries(pattern)) {
    const plain = /^\^?[\w.-]+$/.test(name);
    if (!plain) throw errors.config(where, key, "keyed by plain module names", name);
    if (typeof value !== "number" || !(value > 0)) {
      throw errors.config(where, `${key}.${name}`, "a number above 0", value);
    }
    if (name.startsWith("^")) anchored.set(name.slice(1), values.length);
    else endings.set(name, values.length);
    values.push(value);
  }
  return (path: string): number | undefined => {
    let first = Math.min(anchored.get(path) ?? values.length, endings.get(path) ?? values.length);
    for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
      first = Math.min(first, endings.get(path.slice(dot + 1)) ?? values.length);
    }
    return values[first];
  };
}

/** Modules by the components of their paths. */
interface Branch {
  readonly below: Map<string, Branch>;
  isModule: boolean;
}

/**
 * Returns whether a tensor's name contains the path of one of the modules as whole components
 * before its last: PEFT's match of `modules_to_save`. The work for a name doesn't grow with the
 * number of modules.
 */
export function insideModules(modules: readonly string[]): (name: string) => boolean {
  const root: Branch = { below: new Map(), isModule: false };
  for (const module of modules) {
    let branch = root;
    for (const part of module.split(".")) {
      const next = branch.below.get(part) ?? { below: new Map<string, Branch>(), isModule: false };
      branch.below.set(part, next);
      branch = next;
    }
    branch.isModule = true;
  }
  return (name) => {
    const parts = name.split(".");
    return parts.some((_, start) => startsModule(root, parts, start));
  };
}

/** Whether a module's path begins at component `start` and ends before the last one. */
function startsModule(root: Branch, parts: readonly string[], start: number): boolean {
  let branch: Branch | undefined = root;
  for (let i = start; i < parts.length - 1; i++) {
    branch = branch.below.get(parts[i]!);
    if (branch === undefined) return false;
    if (branch.isModule) return true;
  }
  return false;
}
