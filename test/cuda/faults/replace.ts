/** Replaces the first occurrence of `find`. Throws if there is none: the fault's list is stale. */
export function replaceOnce(text: string, find: string, replace: string): string {
  const at = text.indexOf(find);
  if (at < 0) throw new Error(`no such text to plant a fault in: ${find}`);
  return text.slice(0, at) + replace + text.slice(at + find.length);
}
