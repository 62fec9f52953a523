import { conformEmulated } from "./emulated-conformance.ts";

await conformEmulated("bf16", ["aligned", "odd"]);
