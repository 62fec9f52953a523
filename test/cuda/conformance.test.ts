import { conformEmulated } from "./emulated-conformance.ts";

await conformEmulated("f32");
