import { html, type Markup } from "./html.ts";

/** A run that failed. */
interface Failure {
  readonly run: string;
  readonly error: string;
}

/** "2 runs failed"; undefined for none. */
export function problemText(failures: readonly Failure[]): string | undefined {
  if (failures.length === 0) return undefined;
  return failures.length === 1 ? "1 run failed" : `${failures.length} runs failed`;
}

/** A paragraph for each failed run. */
export const failureNotes = (failures: readonly Failure[]): readonly Markup[] =>
  failures.map(({ run, error }) => html`<p class="note">Failed: ${run}: ${error}</p>`);
