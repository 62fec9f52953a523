/** A Worker that compiles kernels, one after another: started by compile.ts. */
import { AdaloraError } from "../../core/errors.ts";
import type { CompileJob, CompileResult } from "./compile.ts";
import { type Nvrtc, openNvrtc } from "./nvrtc.ts";

// What a Worker's module has in place of a page's.
declare const self: Worker;

let opened: Nvrtc | undefined;

self.addEventListener("message", ({ data }: MessageEvent<CompileJob>) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker has none
  self.postMessage(compile(data));
});

function compile({ nvrtc, source, target, options }: CompileJob): CompileResult {
  try {
    opened ??= openNvrtc([nvrtc]);
    return { compiled: opened.compile(source, target, options) };
  } catch (error) {
    // A message to another thread loses an error's class.
    if (!(error instanceof AdaloraError)) throw error;
    const { code, lines, hint } = error;
    return { failure: { code, lines, hint } };
  }
}
