import type { TrialHeader } from "../io/trial.ts";

/**
 * Reads files for `trialFault` until standard input ends: the program of its child process. Each
 * answer is a line of JSON: why a file cannot be read, or "".
 */
export async function serveTrials(): Promise<void> {
  for await (const { header, bytes } of requests()) {
    process.stdout.write(`${JSON.stringify(await fault(header, bytes))}\n`);
  }
}

if (import.meta.main) await serveTrials();

// --- internal ---

async function fault({ kind, columns }: TrialHeader, bytes: Uint8Array<ArrayBuffer>) {
  try {
    if (kind === "tokenizer")
      await (await import("../text/tokenizer-trial.ts")).tryTokenizer(bytes);
    else await (await import("./parquet-decode.ts")).tryParquet(bytes, kind, columns);
    return "";
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

interface Request {
  readonly header: TrialHeader;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

async function* requests(): AsyncGenerator<Request> {
  let head = "";
  let header: TrialHeader | undefined;
  let bytes = new Uint8Array(0);
  let received = 0;
  for await (let chunk of Bun.stdin.stream()) {
    while (chunk.length > 0) {
      if (header === undefined) {
        const end = chunk.indexOf(0x0a);
        head += Buffer.from(chunk.subarray(0, end === -1 ? chunk.length : end)).toString("utf8");
        chunk = chunk.subarray(end === -1 ? chunk.length : end + 1);
        if (end === -1) continue;
        header = headerOf(head);
        [bytes, received, head] = [new Uint8Array(header.size), 0, ""];
      }
      const part = chunk.subarray(0, header.size - received);
      bytes.set(part, received);
      received += part.length;
      chunk = chunk.subarray(part.length);
      if (received < header.size) continue;
      yield { header, bytes };
      header = undefined;
    }
  }
}

/** Written by `trialFault` of the same program. A function declaration: `serveTrials` runs above. */
function headerOf(line: string): TrialHeader {
  return JSON.parse(line);
}
