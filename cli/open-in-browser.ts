/**
 * Opens a file in the user's browser, without waiting for it. False where the desktop's opener is
 * missing.
 */
export function openInBrowser(file: string, openers = ["xdg-open", "wslview", "open"]): boolean {
  const opener = openers.find((name) => Bun.which(name) !== null);
  if (opener === undefined) return false;
  Bun.spawn([opener, file], { stdio: ["ignore", "ignore", "ignore"] }).unref();
  return true;
}
