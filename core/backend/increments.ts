import type { Backend, Buffer } from "../backend.ts";
import type { LinearIncrement } from "../kernels/linears.ts";

/** The only increment, if it covers all outputs: bias and activation then join its kernel. */
export function wholeOf<T extends LinearIncrement>({
  increments: [first],
  outputs,
}: {
  readonly increments: readonly T[];
  readonly outputs: number;
}): T | undefined {
  return first?.cols === outputs ? first : undefined;
}

/** The columns of `buffer` [rows, outputs] that an increment covers, their rows `outputs` apart. */
export function columnsOf(
  backend: Backend,
  buffer: Buffer,
  { start, cols }: LinearIncrement,
  { rows, outputs }: { rows: number; outputs: number },
): Buffer {
  if (start === 0 && cols === outputs) return buffer;
  return backend.view(buffer, start, rows === 0 || cols === 0 ? 0 : (rows - 1) * outputs + cols);
}
