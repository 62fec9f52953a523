import { join } from "node:path";

/** The script of a run's report as one text without imports. */
export async function reportScript(): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "../cli/report-page/browser/main.ts")],
    target: "browser",
    format: "esm",
    minify: true,
  });
  const text = await outputs[0]!.text();
  // Nothing in it may end the script element that it stands in.
  return text.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
}
