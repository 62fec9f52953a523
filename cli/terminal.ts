import { readFileSync, writeSync } from "node:fs";

/** A place to print: stdout, stderr, or a test's list. */
export interface Output {
  /** Writes all of the text before it returns. Throws the system's error. */
  write(text: string): void;
  /** Whether it is a terminal, whose last line can be rewritten. */
  readonly isTerminal: boolean;
  /** Width of a line in characters: the terminal's, or COLUMNS where that is less; default 80. */
  readonly columns: number;
  /** Lines of the terminal; default 24. */
  readonly rows: number;
  readonly colours: boolean;
  /** Whether the program was started without it, as by `>&-`. */
  readonly isClosed: boolean;
}

/**
 * Wraps a stream of the process. Only terminals have colours, unless NO_COLOR is set. One with
 * TERM=dumb, or in a CI job, whose log is read later, counts as none.
 */
export function outputOf(
  stream: NodeJS.WriteStream & { fd: number },
  env: NodeJS.ProcessEnv = process.env,
): Output {
  const isCi = !["", "0", "false"].includes((env["CI"] ?? "").toLowerCase());
  const isTerminal = stream.isTTY && env["TERM"] !== "dumb" && !isCi;
  return {
    // Past the stream, which reports a failure later or, at the end of the process, never.
    write: (text) => writeNow(stream.fd, text),
    isTerminal,
    get columns() {
      refreshSize(stream);
      const requested = Number(env["COLUMNS"]) || Infinity;
      const found = Math.min(stream.columns || Infinity, Math.max(requested, 1));
      return Number.isFinite(found) ? found : 80;
    },
    get rows() {
      return stream.rows || 24;
    },
    colours: isTerminal && !env["NO_COLOR"],
    isClosed: isClosed(stream.fd),
  };
}

const codes = { bold: "1", dim: "2", red: "31", yellow: "33" } as const;

/** What decides whether texts are coloured. */
export type Painted = Pick<Output, "colours">;

/** Colours a text where the output has colours. */
export function paint(output: Painted, colour: keyof typeof codes, text: string): string {
  return output.colours ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
}

// --- internal ---

const O_CLOEXEC = 0o2000000;

/**
 * Whether a standard stream was closed at the start. Bun has then opened /dev/null in its place,
 * which no file of ours can take: close-on-exec, as no stream from outside can be. False where the
 * system doesn't say.
 */
function isClosed(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(
      readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"),
    )?.[1];
    return (Number.parseInt(flags ?? "0", 8) & O_CLOEXEC) !== 0;
  } catch {
    return false;
  }
}

/**
 * Asks the system for a terminal's size now. Bun does so when it handles the signal of a resize,
 * which may be several writes too late to erase what the terminal has wrapped.
 */
function refreshSize(stream: object): void {
  const refresh: unknown = Reflect.get(stream, "_refreshSize");
  if (typeof refresh === "function") refresh.call(stream);
}

const RETRY_MS = 2;

/** Writes to a file descriptor; waits while a pipe that does not block is full. */
function writeNow(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "EAGAIN") throw error;
      Bun.sleepSync(RETRY_MS);
    }
  }
}
