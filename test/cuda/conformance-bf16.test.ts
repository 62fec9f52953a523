import { conformEmulated } from "./emulated-conformance.ts";

await conformEmulated("bf16");
