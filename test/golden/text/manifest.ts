import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { goldenText } from "./golden-file.ts";
import { Findings, type FileCheck } from "./verdict.ts";

interface Entry {
  readonly bytes: number;
  readonly sha256: string;
  /** Lines that aren't empty, of .jsonl and .tsv files. */
  readonly records?: number;
}

/** `MANIFEST.json`: the files of the folder are the ones that were made, whole. */
export const checkManifest: FileCheck = (folder, file) => {
  const findings = new Findings();
  const manifest: Readonly<Record<string, Entry>> = JSON.parse(goldenText(folder, file));
  const entries = Object.entries(manifest);
  for (const [name, { bytes, sha256, records }] of entries) {
    const path = join(folder.dir, name);
    findings.equal("present", name, existsSync(path), true);
    if (!existsSync(path)) continue;
    const data = readFileSync(path);
    findings.equal("bytes", name, data.length, bytes);
    findings.equal(
      "sha256",
      name,
      new Bun.CryptoHasher("sha256").update(data).digest("hex"),
      sha256,
    );
    if (records === undefined) continue;
    const lines = data
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "");
    findings.equal("records", name, lines.length, records);
  }
  return findings.verdict(entries.length);
};
