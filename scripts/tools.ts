/** Runs one of the packages' command-line tools in this Bun, with its output shown; returns its exit status. */
export function runTool(name: string, args: readonly string[]): number {
  return runInForeground([process.execPath, `node_modules/.bin/${name}`, ...args]);
}

/** Runs a command with its output shown; returns its exit status. */
export const runInForeground = (command: readonly string[]): number =>
  Bun.spawnSync([...command], { stdio: ["ignore", "inherit", "inherit"] }).exitCode;

/** clang-format on every C file; few machines have it: undefined there, else its exit status. */
export function clangFormat(args: readonly string[]): number | undefined {
  const program = Bun.which("clang-format");
  if (program === null) return undefined;
  const files = [...new Bun.Glob("{ffi,test}/**/*.{c,h,cu,cuh}").scanSync(".")];
  return runInForeground([program, ...args, ...files]);
}
