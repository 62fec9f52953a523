import type { Backend } from "../../core/backend.ts";
import { AdaloraError } from "../../core/errors.ts";

/** A backend, or the reason why this machine has none. */
export type Available =
  | { readonly backend: Backend; readonly reason?: undefined }
  | { readonly backend?: undefined; readonly reason: string };

/** A backend, or why this machine has none: a library, compiler or instruction that it lacks. Prints the reason. */
export async function available(create: () => Promise<Backend>): Promise<Available> {
  try {
    return { backend: await create() };
  } catch (error) {
    const missing = error instanceof AdaloraError && /^E_(LIBRARY|MACHINE)$/.test(error.code);
    if (!missing) throw error;
    console.warn(`skipped: ${error.message}`);
    return { reason: error.message.split("\n")[0] ?? error.code };
  }
}
