import { type ConsolaInstance, createConsola, LogLevels } from "consola/core";
import { AdaloraError } from "../core/errors.ts";
import { type LiveLine, liveLine } from "./live-line.ts";
import { type Progress, progressLine, type Scores, scoresText } from "./progress.ts";
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
  /** What an evaluation during training found; not with --quiet. */
  scores(found: Scores): void;
  /** A line that the next one replaces: on a terminal only, and not with --quiet. */
  live(text: string): void;
  /** Whether live lines are seen. */
  readonly isLive: boolean;
  /** A help page, or the version. */
  page(text: string): void;
  /** The command's result, once: as text, or with --json as the one object on stdout. */
  result(value: object, text: string): void;
  /** Prints an error, and says what to exit with. */
  error(error: unknown): ExitCode;
  /** Prints errors of the user, one or more; with --json the first is the one of an error that comes alone. */
  errors(list: readonly AdaloraError[]): ExitCode;
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

/** Ends the process once stdout has taken everything: the only exit. */
export async function exit(code: ExitCode): Promise<never> {
  // Not write("", done): to a pipe Bun calls back before the earlier writes are through.
  await new Promise<void>((done) => process.stdout.end(() => done()));
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

/** Lines on stderr, each after its label; none of what only informs where it is to be quiet. */
function stderrLog(stderr: Output, line: LiveLine, quiet: boolean): ConsolaInstance {
  return createConsola({
    level: quiet ? LogLevels.warn : LogLevels.info,
    throttle: 0, // a line that repeats is printed again
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
