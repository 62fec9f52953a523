import type { ForwardPass } from "../forward-pass.ts";
import type { Sequences } from "../kernels/attention.ts";
import type { AttendedRows, GenerationModel } from "../model/plugin.ts";
import { packSequences } from "../nn/packed-batch.ts";

/** Encoded sources, and what frees them. */
export interface EncodedSources {
  /** The cross-attention keys and values of each decoder layer. */
  readonly source: readonly AttendedRows[];
  readonly dispose: () => void;
}

/** Cross-attention keys and values of the sources, in buffers that outlive their scope. */
export function encodeSources(
  pass: ForwardPass,
  model: GenerationModel,
  sources: readonly ArrayLike<number>[],
): EncodedSources {
  let source: readonly AttendedRows[] = [];
  pass.scope(() => {
    source = model.encode(pass, packSequences(sources));
    for (const buffer of buffersOf(source)) pass.tape.take(buffer);
  });
  const dispose = () => {
    for (const buffer of buffersOf(source)) pass.backend.free(buffer);
  };
  return { source, dispose };
}

/** The running hypotheses of each source as one sequence; counts: how many each source has. */
export function hypothesesOf(pass: ForwardPass, counts: readonly number[]): Sequences {
  const hostOffsets = new Int32Array(counts.length + 1);
  counts.forEach((count, b) => (hostOffsets[b + 1] = hostOffsets[b]! + count));
  return {
    sequences: counts.length,
    tokens: hostOffsets[counts.length]!,
    offsets: pass.integers(hostOffsets),
    hostOffsets,
  };
}

// --- internal ---

/** The layers' keys and values, and the offsets that they may share. */
function buffersOf(source: readonly AttendedRows[]) {
  const offsets = new Set(source.map(({ rows }) => rows.offsets));
  return [...source.map(({ k }) => k.buffer), ...source.map(({ v }) => v.buffer), ...offsets];
}
