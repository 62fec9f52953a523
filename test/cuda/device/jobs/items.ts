import { writeSync } from "node:fs";
import type { Backend } from "../../../../core/backend.ts";
import { SKIPPED } from "../run-job.ts";
import { doing, emit, type Flags, say, textOf } from "./job.ts";

/** Something that a device must get right. */
export interface Item {
  readonly name: string;
  /** Returns figures of a success, if any; throws where it fails. */
  readonly check: () => object | Promise<object>;
}

/** A device, and what to check on it. */
export interface Opened {
  readonly backend: Pick<Backend, "alloc" | "download" | "free">;
  readonly items: readonly Item[];
}

/** The exit status of a process whose device is lost: nothing that it does can succeed any more. */
const LOST = 4;

/**
 * Checks items on a device, from the flags' `from` on, and prints each failure. A kernel's
 * error loses the device for the process, so the rest is checked by a new one. `open`: called in the
 * process that checks. Returns whether all are right.
 */
export async function checkItems(flags: Flags, open: () => Promise<Opened>): Promise<boolean> {
  if (isInner) return checkHere(flags, await open());
  let isOk = true;
  for (let from = flags.from; ;) {
    const { code, next } = await checkInChild(from);
    if (code === SKIPPED) process.exit(SKIPPED); // the child printed the reason
    isOk &&= code === 0;
    if (code !== LOST || next <= from) return isOk;
    from = next;
  }
}

/** Prints the figures of a whole group once it is done. */
export interface Totals {
  add(name: string, figure: number): void;
  /** The largest figure of each name. */
  largest(): Readonly<Record<string, number>>;
}

/** Collects the largest figure of each name. */
export function totals(): Totals {
  const found = new Map<string, number>();
  return {
    add: (name, figure) => void found.set(name, Math.max(figure, found.get(name) ?? 0)),
    largest: () => Object.fromEntries(found),
  };
}

// --- internal ---

const INNER = "ADALORA_DEVICE_ITEMS";
const isInner = process.env[INNER] === "1";

async function checkHere({ from }: Flags, { backend, items }: Opened): Promise<boolean> {
  let [passed, failed] = [0, 0];
  const started = performance.now();
  const summary = () => ({ from, passed, failed, seconds: (performance.now() - started) / 1000 });
  for (const [i, { name, check }] of [...items.entries()].slice(from)) {
    doing(name);
    try {
      const figures = await check();
      if (Object.keys(figures).length > 0) emit({ item: name, status: "pass", ...figures });
      passed++;
    } catch (error) {
      failed++;
      const isLost = !works(backend);
      emit({ item: name, status: "fail", message: textOf(error).slice(0, 2000), isLost });
      if (!isLost) continue;
      emit({ ...summary(), next: i + 1 });
      process.exit(LOST);
    }
  }
  emit(summary());
  if (failed > 0) say(`${failed} of ${passed + failed} failed`);
  return failed === 0;
}

/** Whether a device still answers: after an error of a kernel none of its calls does. */
function works(backend: Opened["backend"]): boolean {
  try {
    const buffer = backend.alloc("f32", 1);
    backend.download(buffer);
    backend.free(buffer);
    return true;
  } catch {
    return false;
  }
}

/** Runs this very job for the items from `from` on, passing its lines on. */
async function checkInChild(from: number): Promise<{ code: number; next: number }> {
  const args = process.argv.slice(1);
  const child = Bun.spawn([process.execPath, ...args, "--from", String(from)], {
    env: { ...process.env, [INNER]: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let next = 0;
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      next = Number(/^\{"from".*"next":(\d+)\}$/.exec(line)?.[1] ?? next);
      writeSync(1, `${line}\n`);
    }
  }
  return { code: await child.exited, next };
}
