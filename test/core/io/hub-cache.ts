import { join } from "node:path";
import type { HubOptions } from "../../../core/io/hub.ts";
import { COMMIT, fakeHub, large, text } from "./fake-hub.ts";
import { scratchFolder } from "./scratch.ts";

/** The model's configuration. */
export const CONFIG = text('{"model_type":"deberta-v2"}');
/** Its tokenizer. */
export const SPM = text("sentencepiece");
/** Its weights, large enough for several reads. */
export const WEIGHTS = large(Buffer.alloc(300_000, "weights!"));
/** A model's repository; README.md and tf_model.h5 are not needed. */
export const MODEL = {
  "README.md": text("# not needed"),
  "config.json": CONFIG,
  "spm.model": SPM,
  "pytorch_model.bin": WEIGHTS,
  "tf_model.h5": large("not needed"),
};

/**
 * Returns a function that starts a hub with one repository and names an empty cache to load it into.
 * The caches are removed after the tests of the file.
 */
export function hubWithCache() {
  const root = scratchFolder();
  let folderCount = 0;
  return (files: Parameters<typeof fakeHub>[2] = MODEL, kind: "models" | "datasets" = "models") => {
    const hub = fakeHub(kind, "org/name", files);
    const home = join(root, String(++folderCount));
    const env = { HF_HOME: home, HF_ENDPOINT: `${hub.url}/` };
    const options: HubOptions = { env, retryDelay: 1 };
    const repo = join(home, "hub", `${kind}--org--name`);
    return {
      hub,
      home,
      env,
      options,
      repo,
      snapshot: join(repo, "snapshots", COMMIT),
      blobs: join(repo, "blobs"),
    };
  };
}

/** The options of a hub that can't be reached on purpose: only the cache is read. */
export const offline = ({ env }: { env: Record<string, string> }): HubOptions => ({
  env: { ...env, HF_HUB_OFFLINE: "1" },
});
