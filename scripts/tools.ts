/**
 * Runs a command-line tool from node_modules in this Bun with inherited output; returns its exit
 * status.
 */
export function runTool(name: string, args: readonly string[]): number {
  return runInForeground([process.execPath, `node_modules/.bin/${name}`, ...args]);
}

/** Runs a command with inherited output; returns its exit status. */
export const runInForeground = (command: readonly string[]): number =>
  Bun.spawnSync([...command], { stdio: ["ignore", "inherit", "inherit"] }).exitCode;

/**
 * Runs clang-format on every C file; returns its exit status, or undefined if it is not installed.
 */
export function clangFormat(args: readonly string[]): number | undefined {
  const program = Bun.which("clang-format");
  if (program === null) return undefined;
  const files = [...new Bun.Glob("{ffi,test}/**/*.{c,h,cu,cuh}").scanSync(".")];
  return runInForeground([program, ...args, ...files]);
}
