import { createConsola, LogLevels } from "consola/core";
import { AdaloraError } from "../core/errors.ts";
import { type Progress, progressLine } from "./progress.ts";
import { type Output, outputOf, paint } from "./terminal.ts";

/** 0 done, 1 the user's mistake, 70 ours, 130 interrupted. */
export type ExitCode = 0 | 1 | 70 | 130;

/** All that a command may print. Results go to stdout, the rest to stderr. */
export interface Report {
  /** What a command has to say while it works; not with --quiet. */
  info(text: string): void;
  warn(text: string): void;
  /** Where a long job is: one live line on a terminal. Elsewhere a line where `keep` is set; not with --quiet. */
  progress(state: Progress, keep: boolean): void;
  /** A help page, or the version. */
  page(text: string): void;
  /** The command's result, once: as text, or with --json as the one object on stdout. */
  result(value: object, text: string): void;
  /** Prints an error, and says what to exit with. */
  error(error: unknown): ExitCode;
  /** For what a result's text holds. */
  readonly stdout: Output;
}

interface ReportOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug?: boolean;
  readonly stdout?: Output;
  readonly stderr?: Output;
}

/** Live lines are rewritten at most this often. */
const liveInterval = 100; // ms: faster than the eye reads

export function createReport({
  json,
  quiet,
  debug = Boolean(process.env["ADALORA_DEBUG"]),
  stdout = outputOf(process.stdout),
  stderr = outputOf(process.stderr),
}: ReportOptions): Report {
  let live = false;
  let lastLive = -Infinity;
  const log = createConsola({
    level: quiet ? LogLevels.warn : LogLevels.info,
    throttle: 0, // a line that repeats is printed again
    reporters: [
      {
        log({ type, args }) {
          const text = String(args[0]);
          const label = labels[type];
          stderr.write(erase() + (label ? paint(stderr, label, type) + "  " : "") + text + "\n");
        },
      },
    ],
  });

  function erase(): string {
    const wasLive = live;
    live = false;
    return wasLive ? "\r\x1b[2K" : "";
  }

  return {
    stdout,
    info: (text) => log.info(text),
    warn: (text) => log.warn(text),

    progress(state, keep) {
      if (quiet) return;
      if (!stderr.isTerminal) {
        if (keep) log.info(progressLine(state));
        return;
      }
      const now = performance.now();
      if (now - lastLive < liveInterval && state.step < state.steps) return;
      lastLive = now;
      stderr.write(erase() + progressLine(state).slice(0, stderr.columns - 1));
      live = true;
    },

    page: (text) => stdout.write(`${text}\n`),

    result(value, text) {
      stderr.write(erase());
      stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
    },

    error(error) {
      const { code, message, hint, exitCode } = described(error);
      log.error(indented(message) + (hint === undefined ? "" : `\n  hint: ${indented(hint)}`));
      if (debug && error instanceof Error) stderr.write(`${Bun.inspect(error)}\n`);
      if (json) stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
      return exitCode;
    },
  };
}

/** Ends the process once stdout has taken everything: the only exit. */
export async function exit(code: ExitCode): Promise<never> {
  await new Promise<void>((done) => process.stdout.write("", () => done()));
  process.exit(code);
}

/** Ends the process at once, for a user who asks a second time. */
export function exitNow(code: ExitCode): never {
  process.exit(code);
}

/** A reader that has seen enough, `adalora … | head`, is no error. */
export function tolerateClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

// --- internal ---

const labels: Readonly<Partial<Record<string, "red" | "yellow">>> = {
  error: "red",
  warn: "yellow",
};

const indented = (text: string) => text.replaceAll("\n", "\n  ");

function described(error: unknown) {
  if (error instanceof AdaloraError) {
    return { code: error.code, message: error.message, hint: error.hint, exitCode: 1 as const };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: "E_INTERNAL",
    message: message.startsWith("internal: ") ? message : `internal: ${message}`,
    hint: "this is a bug in adalora: ADALORA_DEBUG=1 prints where it happened",
    exitCode: 70 as const,
  };
}
