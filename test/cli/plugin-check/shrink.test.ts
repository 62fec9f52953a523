import { expect, test } from "bun:test";
import { shrink } from "../../../cli/plugin-check/shrink.ts";
import type { ModelPlugin } from "../../../core/kit/kit.ts";
import { smallConfig, smallPlugin } from "./small-plugin.ts";

test("a family that can only be large is not checked, and each refusal is told", () => {
  const plugin = smallPlugin();
  const parseConfig: ModelPlugin["parseConfig"] = (raw) => {
    const config = plugin.parseConfig(raw);
    if (config.vocabSize < 1e5) throw new Error("the vocabulary must be large");
    return config;
  };
  const { finding, subject } = shrink(
    { ...plugin, parseConfig },
    { ...smallConfig, vocab_size: 1e5 },
  );
  expect(subject).toBeUndefined();
  expect(finding).toMatchInlineSnapshot(`
    {
      "check": "shrinking",
      "level": "skip",
      "message": "no small model of the family could be built: 2 layers, 64 tokens, 2 heads, width 16 (the vocabulary must be large); 2 layers, 64 tokens, the widths of config.json (the vocabulary must be large); 2 layers (2409234 parameters are too many); all sizes of config.json (2413322 parameters are too many)",
    }
  `);
});

test("the shrunken config has no dropout of its own", () => {
  const plugin = smallPlugin();
  expect(shrink(plugin, smallConfig).subject?.config).toMatchObject({ dropout: 0, width: 16 });
});
