import { availableParallelism } from "node:os";
import { AdaloraError, invariant } from "../../core/errors.ts";
import { isExecutable, readEmbedded } from "../embedded-registry.ts";
import type { Compiled, Source, Target } from "./nvrtc.ts";
import { EMBEDDED_WORKER, familyOf } from "./sources.ts";

/** A source, and what it is compiled for. */
export interface Compilation {
  readonly source: Source;
  readonly target: Target;
}

/** What a Worker compiles. */
export interface CompileJob extends Compilation {
  /** Path of libnvrtc. */
  readonly nvrtc: string;
  readonly options: readonly string[];
}

/** Its answer: the result, or the parts of an AdaloraError, as a message loses an error's class. */
export type CompileResult =
  | { readonly compiled: Compiled }
  | {
      readonly failure: {
        readonly code: string;
        readonly lines: readonly string[];
        readonly hint: string | undefined;
      };
    };

/** Options of `compileSources`. */
export interface CompileOptions {
  /** More options of NVRTC. */
  readonly options?: readonly string[];
  /** Workers that compile at once; default: one per core, at most `MOST_WORKERS`. */
  readonly workers?: number | undefined;
  /** Gets each as soon as it is compiled, also where a later one fails. */
  readonly onCompiled?: (compilation: Compilation, compiled: Compiled) => void;
}

/** Each takes 150 MB or so, and more would wait for the slowest family. */
const MOST_WORKERS = 8;

/** Families that take longest to compile: they come first, so that none is compiled alone at the end. */
const SLOWEST = ["flash-disentangled", "flash-multi-head", "flash-wide-heads"];

/**
 * Compiles in Workers, so that they use all cores. `nvrtc`: the path of libnvrtc. Throws
 * E_NATIVE with the log of the first that does not compile, after the others have ended.
 */
export async function compileSources(
  nvrtc: string,
  compilations: readonly Compilation[],
  {
    options = [],
    workers = Math.min(availableParallelism(), MOST_WORKERS),
    onCompiled,
  }: CompileOptions = {},
): Promise<readonly Compiled[]> {
  const queue = compilations
    .map((compilation, index) => ({ ...compilation, index }))
    .toSorted((a, b) => rankOf(a.source) - rankOf(b.source));
  const results: Compiled[] = [];
  async function work() {
    const worker = openWorker();
    try {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        const { index, source, target } = item;
        const compiled = await worker.compile({ nvrtc, source, target, options });
        results[index] = compiled;
        onCompiled?.({ source, target }, compiled);
      }
    } catch (error) {
      queue.length = 0;
      throw error;
    } finally {
      worker.close();
    }
  }
  const count = Math.min(workers, compilations.length);
  const ended = await Promise.allSettled(Array.from({ length: count }, work));
  const failed = ended.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
  return results;
}

const rankOf = (source: Source) => {
  const rank = SLOWEST.indexOf(familyOf(source));
  return rank < 0 ? SLOWEST.length : rank;
};

/** Where the Worker's code is: beside this file, or embedded in a released executable. */
function workerUrl(): URL | string {
  if (!isExecutable()) return new URL("compile-worker.ts", import.meta.url);
  const code = Buffer.from(readEmbedded(EMBEDDED_WORKER)).toString();
  return URL.createObjectURL(new Blob([code], { type: "application/javascript" }));
}

/** Starts a Worker that compiles, one job at a time. `url`: its code; tests have their own. */
export function openWorker(url = workerUrl()) {
  const worker = new Worker(url);
  return {
    async compile(job: CompileJob): Promise<Compiled> {
      const { promise, resolve, reject } = Promise.withResolvers<CompileResult>();
      const once = { once: true };
      const onMessage = ({ data }: MessageEvent<CompileResult>) => resolve(data);
      worker.addEventListener("message", onMessage, once);
      worker.addEventListener("error", ({ message }) => reject(new Error(message)), once);
      const lost = new Error("internal: the Worker that compiles kernels has ended");
      worker.addEventListener("close", () => reject(lost), once);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker has none
      worker.postMessage(job);
      const result = await promise;
      if ("compiled" in result) return result.compiled;
      const { code, lines, hint } = result.failure;
      const [first, ...details] = lines;
      invariant(first !== undefined, "an error has a message");
      throw new AdaloraError(code, first, { details, hint });
    },
    close: () => worker.terminate(),
  };
}
