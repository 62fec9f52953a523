/** Loaded before the tests (bunfig.toml): `bun test FILE` takes as long as it needs. */
import { setDefaultTimeout } from "bun:test";

// As in scripts/test.ts. Bun's own limit of 5 s is less than a process takes to start on a busy
// machine. Bun applies this to the first file alone: for several, use `npm test A B`.
setDefaultTimeout(20 * 60_000);
