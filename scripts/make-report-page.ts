/**
 * Bundles the script of a run's report, Vega included, into cli/report-page/page-script.txt. Run it
 * after a change of cli/report-page/browser or of Vega's version; a test compares the two.
 */
import { join } from "node:path";
import { reportScript } from "./report-script.ts";

const file = join(import.meta.dir, "../cli/report-page/page-script.txt");
await Bun.write(file, await reportScript());
