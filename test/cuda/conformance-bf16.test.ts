import { conformEmulated } from "./emulated-conformance.ts";

// Only aligned rows are copied by cp.async, and only a copy that lands late shows a missing wait:
// so the second order, which is late, is that of aligned buffers.
await conformEmulated("bf16", ["odd", "aligned"]);
