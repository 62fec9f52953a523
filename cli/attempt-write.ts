/**
 * Writes a file that a finished command can do without; where that fails, `warn` gets a message that
 * names `what`.
 */
export function attemptWrite(what: string, write: () => void, warn: (text: string) => void): void {
  try {
    write();
  } catch (error) {
    warn(`${what} is not written: ${error instanceof Error ? error.message : String(error)}`);
  }
}
