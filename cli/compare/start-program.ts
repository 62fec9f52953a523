import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { isJsonObject } from "../../core/io/json-file.ts";
import type { StopRequest } from "../signals.ts";

/** How a process of this program ended. */
export interface EndedProgram {
  readonly code: number;
  readonly stdout: string;
  /** The error that it printed, or that it died. */
  readonly error: AdaloraError;
}

/** Whether an exit code is that of a program that saved a checkpoint on a signal. */
export const isStopCode = (code: number): boolean => [129, 130, 143].includes(code);

/**
 * Runs this program with --json in a process group of its own, so that Ctrl-C in a terminal reaches
 * it once: as the SIGTERM that follows a requested stop. `onLine` gets each line of its stderr.
 */
export async function startProgram(
  words: readonly string[],
  stop: Pick<StopRequest, "isRequested">,
  { env, onLine }: { env?: Record<string, string>; onLine?: (line: string) => void },
): Promise<EndedProgram> {
  const [program = "", ...first] = ownWords();
  const child = spawn(program, [...first, ...words], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const lines = (stderr + text).split("\n");
    stderr = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine?.(line.trim());
  });
  let isTold = false;
  const watch = setInterval(() => {
    if (!stop.isRequested || isTold) return;
    isTold = true;
    child.kill("SIGTERM");
  }, 50);
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.on("error", reject).on("close", (status, signal) => resolve(status ?? signal ?? 1));
    });
    return {
      code: typeof code === "number" ? code : 1,
      stdout,
      error: errorIn(stdout) ?? died(code, stderr),
    };
  } finally {
    clearInterval(watch);
  }
}

// --- internal ---

/** The words that start this program: its entry from source, or the executable alone. */
function ownWords(): readonly string[] {
  const entry = join(import.meta.dir, "..", "main.ts");
  return existsSync(entry) ? [process.execPath, entry] : [process.execPath];
}

/** The error of a program that printed it as JSON. */
function errorIn(stdout: string): AdaloraError | undefined {
  try {
    const { error } = JSON.parse(stdout);
    if (!isJsonObject(error)) return undefined;
    const { message, hint } = error;
    return new AdaloraError("E_RUN", String(message), {
      hint: typeof hint === "string" ? hint : undefined,
    });
  } catch {
    return undefined;
  }
}

function died(code: number | string, stderr: string): AdaloraError {
  const how = typeof code === "string" ? `was killed by ${code}` : `ended with exit code ${code}`;
  const hint = code === "SIGKILL" ? "the system may have run out of memory" : undefined;
  return new AdaloraError("E_RUN", `its process ${how} ${stderr.trim()}`.trim(), { hint });
}
