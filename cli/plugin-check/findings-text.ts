import { printable } from "../printable.ts";
import { type Output, paint } from "../terminal.ts";
import { labelled, pageWidth } from "../wrap.ts";
import { counted, type PluginFinding } from "./finding.ts";

/** Findings as a page: one line each, what to change below a failure, then a verdict. */
export function findingsText(findings: readonly PluginFinding[], output: Output): string {
  const width = pageWidth(output);
  const blocks = merged(findings).map((finding) => {
    const others = findings.filter(({ check }) => check === finding.check);
    const tasks = new Set(others.map(({ task }) => task));
    const shown = tasks.size === finding.tasks.length ? [] : finding.tasks;
    return findingText({ ...finding, tasks: shown }, output, width);
  });
  return [...blocks, "", verdict(findings)].join("\n");
}

// --- internal ---

const indent = 22;

interface MergedFinding extends PluginFinding {
  readonly tasks: readonly string[];
}

/** Joins the findings that differ in their task only, each check's together. */
function merged(findings: readonly PluginFinding[]): readonly MergedFinding[] {
  const groups = new Map<string, MergedFinding>();
  const checks = [...new Set(findings.map(({ check }) => check))];
  const sorted = checks.flatMap((check) => findings.filter((finding) => finding.check === check));
  for (const { task, ...finding } of sorted) {
    const key = JSON.stringify(finding);
    const tasks = [...(groups.get(key)?.tasks ?? []), ...(task === undefined ? [] : [task])];
    groups.set(key, { ...finding, tasks });
  }
  return [...groups.values()];
}

function findingText(finding: MergedFinding, output: Output, width: number): string {
  const { check, level, message, hint, where, tasks } = finding;
  const forTasks = tasks.length === 0 ? "" : `${tasks.join(", ")}: `;
  const label = `${level.padEnd(6)}${check}`;
  const first = labelled(label, forTasks + message, { indent, width });
  const below = [
    ...(where === undefined ? [] : [labelled("", `at ${where}`, { indent, width })]),
    ...(hint === undefined ? [] : [labelled("", `change: ${hint}`, { indent, width })]),
  ];
  const colour = level === "fail" ? "red" : level === "warn" ? "yellow" : undefined;
  const painted = colour ? paint(output, colour, level) + first.slice(level.length) : first;
  return [painted, ...below].join("\n");
}

function verdict(findings: readonly PluginFinding[]): string {
  const count = (level: PluginFinding["level"]) =>
    findings.filter((finding) => finding.level === level).length;
  const [failed, warned] = [count("fail"), count("warn")];
  const warnings = warned === 0 ? "" : `, ${counted(warned, "warning")}`;
  if (failed > 0) return printable(`${counted(failed, "failure")}${warnings}`);
  return printable(`the plugin passes${warnings}`);
}
