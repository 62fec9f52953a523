import type { Sources } from "../../core/model/model-files.ts";
import { builtInFamilies } from "../../plugins/index.ts";

/** Models, adapters and data from the disk alone: names are paths. */
export const localSources: Sources = {
  families: () => Promise.resolve(builtInFamilies),
  model: (name) => Promise.resolve(name),
  adapter: (name) => Promise.resolve(name),
  data: (name) => Promise.resolve({ path: name ?? "" }),
};

/** A run's observer that ignores every event and never stops it. */
export const quietObserver = {
  start: { onProgress() {}, onWarning() {} },
  onLoaded() {},
  onResume() {},
  onStep() {},
  onEvaluation() {},
  onCheckpoint() {},
  stopRequested: () => false,
};
