import { type ConsolaInstance, createConsola, LogLevels } from "consola/core";
import { AdaloraError } from "../core/errors.ts";
import { type LiveLine, liveLine } from "./live-line.ts";
import { type Progress, progressLine, type Scores, scoresText } from "./progress.ts";
import { type Output, outputOf, paint } from "./terminal.ts";

/** 0: done; 1: the user's mistake; 70: a bug; 130: interrupted. */
export type ExitCode = 0 | 1 | 70 | 130;

/** Everything that a command may print. Results go to stdout, the rest to stderr. */
export interface Report {
  /** A message about work in progress; not with --quiet. */
  info(text: string): void;
  warn(text: string): void;
  /** Progress: a live line on a terminal, elsewhere a line if `keep` is set; not with --quiet. */
  progress(state: Progress, keep: boolean): void;
  /** The result of an evaluation during training; not with --quiet. */
  scores(found: Scores): void;
  /** A line that the next one replaces; on a terminal only, and not with --quiet. */
  live(text: string): void;
  /** Whether live lines are shown. */
  readonly isLive: boolean;
  /** A help page, or the version. */
  page(text: string): void;
  /** The command's result, once: as text, or with --json as the only object on stdout. */
  result(value: object, text: string): void;
  /** Prints an error and returns the exit code. */
  error(error: unknown): ExitCode;
  /** Prints one or more user errors; with --json as `errors`, the first also as `error`. */
  errors(list: readonly AdaloraError[]): ExitCode;
  /** Where `result` prints, for its width and colours. */
  readonly stdout: Output;
}

interface ReportOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug?: boolean;
  readonly stdout?: Output;
  readonly stderr?: Output;
}

/** Creates a report on the process's streams, or on those given. */
export function createReport({
  json,
  quiet,
  debug = Boolean(process.env["ADALORA_DEBUG"]),
  stdout = outputOf(process.stdout),
  stderr = outputOf(process.stderr),
}: ReportOptions): Report {
  const line = liveLine(stderr);
  const isLive = stderr.isTerminal && !quiet;
  const log = stderrLog(stderr, line, quiet);

  function printError(error: unknown): ReturnType<typeof describeError> {
    const about = describeError(error);
    const { message, hint } = about;
    log.error(indent(message) + (hint === undefined ? "" : `\n  hint: ${indent(hint)}`));
    if (debug && error instanceof Error) stderr.write(`${Bun.inspect(error)}\n`);
    return about;
  }

  return {
    stdout,
    isLive,
    info: (text) => log.info(text),
    warn: (text) => log.warn(text),

    progress(state, keep) {
      if (quiet) return;
      if (isLive) line.show(progressLine(state), state.step === state.steps);
      else if (keep) log.info(progressLine(state));
    },

    scores: (found) => log.info(scoresText(found, scoresColumns(stderr))),

    live(text) {
      if (isLive) line.show(text, false);
    },

    page: (text) => stdout.write(`${text}\n`),

    result(value, text) {
      stderr.write(line.erase());
      stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
    },

    error(error) {
      const { code, message, hint, exitCode } = printError(error);
      if (json) stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
      return exitCode;
    },

    errors(list) {
      const all = list.map((error) => {
        const { code, message, hint } = printError(error);
        return { code, message, hint };
      });
      if (json) stdout.write(`${JSON.stringify({ error: all[0], errors: all })}\n`);
      return 1;
    },
  };
}

/** Ends the process once stdout is flushed. Commands exit through it alone. */
export async function exit(code: ExitCode): Promise<never> {
  // Not write("", done): on a pipe Bun calls back before earlier writes are flushed.
  await new Promise<void>((done) => process.stdout.end(() => done()));
  process.exit(code);
}

/** Ends the process immediately, on the user's second request. */
export function exitNow(code: ExitCode): never {
  process.exit(code);
}

/** Exits quietly when the reader closes the pipe, as in `adalora … | head`. */
export function tolerateClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

// --- internal ---

/** A logger for labelled lines on stderr; `quiet` drops those that only inform. */
function stderrLog(stderr: Output, line: LiveLine, quiet: boolean): ConsolaInstance {
  return createConsola({
    level: quiet ? LogLevels.warn : LogLevels.info,
    throttle: 0, // print repeated lines too
    reporters: [
      {
        log({ type, args }) {
          const label = labels[type];
          const prefix = label ? `${paint(stderr, label, type)}  ` : "";
          stderr.write(`${line.erase()}${prefix}${String(args[0])}\n`);
        },
      },
    ],
  });
}

/** A page's width; in a narrower terminal, the terminal's. */
const scoresColumns = ({ isTerminal, columns }: Output) =>
  isTerminal ? Math.min(100, columns) : 100;

const labels: Readonly<Partial<Record<string, "red" | "yellow">>> = {
  error: "red",
  warn: "yellow",
};

const indent = (text: string) => text.replaceAll("\n", "\n  ");

function describeError(error: unknown) {
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
