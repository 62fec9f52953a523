/**
 * Loaded before the tests (bunfig.toml): a test may take as long as scripts/test.ts lets it. Bun's
 * own limit of 5 s is less than a process takes to start on a busy machine; `setDefaultTimeout`
 * holds for one file, so each test file is made to call it, in its first line.
 */
import { plugin } from "bun";
import { readFileSync } from "node:fs";

const limit = `import { setDefaultTimeout as __limit } from "bun:test"; __limit(${20 * 60_000});`;

plugin({
  name: "a limit of 20 minutes",
  setup(build) {
    build.onLoad({ filter: /\.test\.ts$/ }, ({ path }) => ({
      contents: `${limit} ${readFileSync(path, "utf8")}`,
      loader: "ts",
    }));
  },
});
