import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPlugin } from "../../../cli/plugin-check/check-plugin.ts";
import { openPlugin } from "../../../cli/plugins/open-families.ts";
import { writeExampleModel } from "./example-model.ts";

const examples = join(import.meta.dir, "../../../examples/plugins");
const scratch = realpathSync(mkdtempSync(join(tmpdir(), "plugin-check-")));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

for (const file of readdirSync(examples).filter((name) => name.endsWith(".ts")))
  test(`examples/plugins/${file} passes every check`, async () => {
    const { plugin, origin } = await openPlugin(join(examples, file));
    const folder = join(scratch, plugin.name);
    writeExampleModel(plugin.name, folder);
    const findings = await checkPlugin(plugin, folder, { origin });
    expect(findings.filter(({ level }) => level === "fail")).toEqual([]);
    expect(new Set(findings.map((finding) => finding.check)).size).toBeGreaterThan(11);
  });
