import { createFamilies } from "../core/model/families.ts";
import type { ModelPlugin } from "../core/model/plugin.ts";
import { bart } from "./bart/index.ts";
import { deberta } from "./deberta/index.ts";
import { modernbert } from "./modernbert/index.ts";

/** Every model family of the program. Adding one is one import and one entry here. */
export const plugins: readonly ModelPlugin[] = [deberta, bart, modernbert];

/** The families of a command that loads no others. */
export const builtInFamilies = createFamilies(plugins);
