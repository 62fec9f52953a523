import { readFileSync, readlinkSync } from "node:fs";

/** The ID of a running process, or this one. */
type Pid = number | "self";

/**
 * Peak resident memory in bytes of a process, this one by default; undefined where the system does
 * not tell, or the process has ended.
 */
export function peakResidentMemory(pid: Pid = "self"): number | undefined {
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return line ? Number(line[1]) * 1024 : undefined;
  } catch {
    return undefined; // another system, or no such process
  }
}

/**
 * Peak memory in bytes of a process, excluding its code: peakResidentMemory minus the pages of the
 * program's and the libraries' files that are resident now. The system shares and reclaims those,
 * and their number varies with its page cache, by 25 MB and more.
 */
export function peakMemoryWithoutCode(pid: Pid = "self"): number | undefined {
  const peak = peakResidentMemory(pid);
  try {
    return peak === undefined ? undefined : peak - residentCode(pid);
  } catch {
    return peak; // a system without smaps
  }
}

const LIBRARY = /\.(so[.\d]*|node)$/;

/** Bytes of resident, unmodified pages of code files. */
function residentCode(pid: Pid): number {
  const program = readlinkSync(`/proc/${pid}/exe`);
  let bytes = 0;
  for (const mapping of readFileSync(`/proc/${pid}/smaps`, "utf8").split(/\nVmFlags:.*\n/)) {
    const path = /^[\da-f]+-[\da-f]+ (?:\S+ +){4}(\/.*)/.exec(mapping)?.[1];
    if (path === undefined || (path !== program && !LIBRARY.test(path))) continue;
    const kilobytes = (name: string) =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(mapping)?.[1] ?? 0);
    bytes += (kilobytes("Rss") - kilobytes("Anonymous")) * 1024;
  }
  return bytes;
}
