import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPlugin } from "../../cli/plugin-check/check-plugin.ts";
import bert from "../../examples/plugins/bert.ts";
import distilbert from "../../examples/plugins/distilbert.ts";
import roberta from "../../examples/plugins/roberta.ts";
import { writeExampleFolder } from "../helpers/example-folder.ts";

const root = mkdtempSync(join(tmpdir(), "adalora-examples-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each([bert, roberta, distilbert].map((plugin) => [plugin.name, plugin] as const))(
  "the example %s",
  (name, plugin) => {
    const file = join(import.meta.dir, "../../examples/plugins", `${name}.ts`);

    test("passes every check of `plugin check`", async () => {
      const folder = join(root, name);
      writeExampleFolder(folder, plugin);
      const findings = await checkPlugin(plugin, folder, {});
      expect(findings.filter(({ level }) => level === "fail")).toEqual([]);
      expect(findings.filter(({ level }) => level === "skip")).toEqual([]);
      const checks = new Set(findings.map((finding) => finding.check));
      expect(checks.size).toBeGreaterThan(11);
    });

    test('has at most 100 lines and imports "adalora" alone', () => {
      const source = readFileSync(file, "utf8");
      expect(source.trimEnd().split("\n").length).toBeLessThanOrEqual(100);
      const imports = [...source.matchAll(/from "([^"]+)"/g)].map(([, path]) => path);
      expect(imports).toEqual(["adalora"]);
    });
  },
);
