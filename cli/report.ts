import { type ConsolaInstance, createConsola, LogLevels } from "consola/core";
import { AdaloraError } from "../core/errors.ts";
import { errorCode, fileError, machineError } from "../core/io/file-errors.ts";
import { type LiveDisplay, liveDisplay } from "./live-display.ts";
import { ownersError } from "./plugins/loaded-plugins.ts";
import { printable, printableLines, shortened } from "./printable.ts";
import {
  batchLine,
  type BatchProgress,
  type Progress,
  progressLine,
  type Scores,
  scoresText,
} from "./progress.ts";
import { type Output, outputOf, paint } from "./terminal.ts";
import { pageWidth } from "./wrap.ts";
import { wrappedMessage } from "./wrap-message.ts";

/**
 * 0: done; 1: the user's mistake, or a stdout that takes no more; 70: a bug; 129, 130, 143: stopped
 * by SIGHUP, SIGINT, SIGTERM; 141: the reader of stdout is gone, as in `adalora … | head`.
 */
export type ExitCode = 0 | 1 | 70 | 129 | 130 | 141 | 143;

/**
 * Everything that a command may print. Results go to stdout, the rest to stderr. Controls in what
 * is printed are escaped here; a result's text keeps its line ends, so names within it must be
 * `printable` already. Throws E_FILE where stdout fails; a stderr that fails is ignored.
 */
export interface Report {
  /** A message about work in progress; not with --quiet. */
  info(text: string): void;
  /** A warning, with lines of details below it. */
  warn(text: string, details?: readonly string[]): void;
  /**
   * Progress: a live line or panel on a terminal, elsewhere a line if `keep` is set; not with
   * --quiet.
   */
  progress(state: Progress, keep: boolean): void;
  /** Progress of an evaluation or a prediction, as `progress`. */
  batches(state: BatchProgress, keep: boolean): void;
  /** What the program does next, as a live line; not with --quiet. */
  stage(text: string): void;
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
  const messages = withoutFailures(stderr);
  const live = liveDisplay(messages);
  const isLive = stderr.isTerminal && !quiet;
  const log = stderrLog(messages, live, quiet);
  const results = resultPrinter(stdout);
  const printError = errorPrinter(log, messages, debug);

  const showLive = (text: string, atOnce: boolean) => {
    if (isLive) live.text(text, atOnce);
  };

  return {
    stdout,
    isLive,
    info: (text) => log.info(lined([text], stderr)),
    warn: (text, details = []) => log.warn(lined([text, ...details], stderr, "warn")),

    progress(state, keep) {
      if (isLive) live.progress(state);
      else if (keep) log.info(progressLine(state));
    },

    batches(state, keep) {
      if (isLive) live.batches(state);
      else if (keep) log.info(batchLine(state));
    },

    stage: (text) => showLive(text, true),

    scores: (found) => log.info(printableLines(scoresText(found, scoresColumns(stderr)))),

    live: (text) => showLive(text, false),

    page: (text) => results.print(text),

    result(value, text) {
      messages.write(live.erase());
      results.print(json ? jsonLine(value) : printableLines(text, stdout.colours));
    },

    ...errorCalls(results, printError, json),
  };
}

/** Ends the process. Commands exit through it alone; all that they printed has been written. */
export function exit(code: ExitCode): never {
  process.exit(code);
}

/** Ends the process immediately, on the user's second request. */
export function exitNow(code: ExitCode): never {
  process.exit(code);
}

// --- internal ---

/** Prints to stdout. Throws E_FILE where it takes no more. */
function resultPrinter(stdout: Output) {
  let lost: AdaloraError | undefined;
  return {
    print(text: string) {
      try {
        stdout.write(`${text}\n`);
      } catch (error) {
        const { code, message } = fileError("stdout", error);
        lost = new AdaloraError(code, message, { cause: error });
        throw lost;
      }
    },
    /** Whether the error is that stdout's reader is gone. */
    hasLostReader: (error: unknown) => error === lost && errorCode(lost?.cause) === "EPIPE",
  };
}

/** Prints an error on stderr, with `debug` where it happened, and returns what it says. */
function errorPrinter(log: ConsolaInstance, stderr: Output, debug: boolean) {
  return (error: unknown) => {
    const about = describeError(error);
    const { lines, hint } = about;
    const hints = hint === undefined ? [] : [`${HINT}${hint}`];
    log.error(lined([...lines, ...hints], stderr, "error"));
    if (debug && error instanceof Error) stderr.write(`${printableLines(Bun.inspect(error))}\n`);
    return about;
  };
}

/** The report's errors: lines on stderr and, with `json`, one object on stdout. */
function errorCalls(
  results: ReturnType<typeof resultPrinter>,
  printError: ReturnType<typeof errorPrinter>,
  json: boolean,
): Pick<Report, "error" | "errors"> {
  // The errors are on stderr already, so a stdout that fails changes nothing.
  const printJson = (value: object) => {
    try {
      results.print(jsonLine(value));
    } catch {}
  };
  return {
    error(error) {
      if (results.hasLostReader(error)) return 141; // as other tools end
      const { code, message, hint, exitCode } = printError(error);
      if (json) printJson({ error: { code, message, hint } });
      return exitCode;
    },

    errors(list) {
      const all = list.map((error) => {
        const { code, message, hint } = printError(error);
        return { code, message, hint };
      });
      if (json) printJson({ error: all[0], errors: all });
      return 1;
    },
  };
}

/** A logger for labelled lines on stderr; `quiet` drops those that only inform. */
function stderrLog(stderr: Output, live: LiveDisplay, quiet: boolean): ConsolaInstance {
  return createConsola({
    level: quiet ? LogLevels.warn : LogLevels.info,
    throttle: 0, // print repeated lines too
    reporters: [
      {
        log({ type, args }) {
          const label = labels[type];
          const prefix = label ? `${paint(stderr, label, type)}  ` : "";
          stderr.write(`${live.erase()}${prefix}${String(args[0])}\n`);
          if (type !== "error") live.restore();
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

const HINT = "hint: ";

/**
 * A message and its details, each in a line that nothing within it can end; on a terminal wrapped
 * to its width. `label`: what stands before the message.
 */
function lined(lines: readonly string[], stderr: Output, label = ""): string {
  const width = pageWidth(stderr);
  const [first = "", ...details] = lines.map((text) => printable(shortened(text)));
  const indent = label === "" ? 0 : label.length + "  ".length;
  return [
    wrappedMessage(first, width, indent),
    ...details.map((text) => {
      const start = text.startsWith(HINT) ? `  ${HINT}` : "  ";
      return start + wrappedMessage(text.slice(start.length - 2), width, start.length);
    }),
  ].join("\n");
}

/** JSON in one line, in which a terminal finds nothing to obey. */
const jsonLine = (value: object) => printable(JSON.stringify(value));

/** The output for messages: where they cannot be printed, results still can. */
function withoutFailures(output: Output): Output {
  return {
    write(text) {
      try {
        output.write(text);
      } catch {}
    },
    isTerminal: output.isTerminal,
    get columns() {
      return output.columns;
    },
    get rows() {
      return output.rows;
    },
    colours: output.colours,
    isClosed: output.isClosed,
  };
}

function describeError(thrown: unknown) {
  const error = machineError(thrown) ?? ownersError(thrown);
  if (error instanceof AdaloraError) {
    const { code, message, lines, hint } = error;
    return { code, message, lines, hint, exitCode: 1 as const };
  }
  const text = error instanceof Error ? error.message : String(error);
  const oneLine = text.replaceAll(/\s*\n\s*/g, " ");
  const message = oneLine.startsWith("internal: ") ? oneLine : `internal: ${oneLine}`;
  return {
    code: "E_INTERNAL",
    message,
    lines: [message],
    hint: "this is a bug in adalora: ADALORA_DEBUG=1 prints where it happened",
    exitCode: 70 as const,
  };
}
