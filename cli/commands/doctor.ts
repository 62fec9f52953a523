import type { Finding } from "../../core/finding.ts";
import { defineCommand } from "../command.ts";
import { printable } from "../printable.ts";
import { type Output, paint } from "../terminal.ts";

/**
 * `adalora doctor`: what is installed, whether it computes correctly, and how to fix what does not.
 */
export const doctor = defineCommand({
  usage: "",
  positionals: 0,
  settings: [],
  options: {},
  scripts: false,
  notes: [
    "Checks the libraries, the machine and the folders that adalora uses, then trains a tiny model for two steps on each device and compares the result with the reference. Exits with 1 if something required is missing or wrong.",
  ],
  examples: ["adalora doctor", "adalora doctor --json"],

  async run(_line, report) {
    const { placeFindings } = await import("../doctor/places.ts");
    const { tokenizersFinding } = await import("../doctor/tokenizers.ts");
    const { deviceFindings } = await import("../doctor/devices.ts");
    const findings = [
      ...(await placeFindings()),
      await tokenizersFinding(),
      ...(await deviceFindings()),
    ];
    const ok = findings.every((finding) => finding.ok);
    report.result({ ok, findings }, doctorText(findings, report.stdout));
    return ok ? 0 : 1;
  },
});

const labelWidth = 13;

function doctorText(findings: readonly Finding[], output: Output): string {
  const blocks = findings.map(({ what, ok, found, fix }) => {
    const mark = ok ? "ok  " : paint(output, "red", "fail");
    const lines = found.split("\n").map(printable);
    const first = `${mark}  ${what.padEnd(labelWidth)}${lines.join("\n      ")}`;
    return fix === undefined ? first : `${first}\n      fix: ${printable(fix)}`;
  });
  const failed = findings.filter(({ ok }) => !ok).length;
  return [
    ...blocks,
    "",
    failed === 0 ? "all is well" : `${failed} of ${findings.length} failed`,
  ].join("\n");
}
