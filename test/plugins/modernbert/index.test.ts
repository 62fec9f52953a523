import { describe, expect, test } from "bun:test";
import { modernbert } from "../../../plugins/modernbert/index.ts";
import { tinyModernBertConfig } from "../../helpers/tiny-modernbert.ts";

/** The architecture's keys of answerdotai/ModernBERT-base. */
const released = {
  model_type: "modernbert",
  vocab_size: 50_368,
  hidden_size: 768,
  intermediate_size: 1152,
  num_hidden_layers: 22,
  num_attention_heads: 12,
  hidden_activation: "gelu",
  max_position_embeddings: 8192,
  norm_eps: 1e-5,
  norm_bias: false,
  attention_bias: false,
  mlp_bias: false,
  global_attn_every_n_layers: 3,
  global_rope_theta: 160_000.0,
  local_rope_theta: 10_000.0,
  local_attention: 128,
  classifier_pooling: "mean",
  pad_token_id: 50_283,
};

const parsed = (change: object) => modernbert.parseConfig({ ...tinyModernBertConfig, ...change });
const types = (full: number, sliding: number) => ({
  full_attention: { rope_type: "default", rope_theta: full },
  sliding_attention: { rope_type: "default", rope_theta: sliding },
});

describe("ModernBERT's config.json", () => {
  test("of a released checkpoint", () => {
    const config = modernbert.parseConfig(released);
    expect(config).toMatchObject({
      window: 64,
      pooling: "mean",
      padId: 50_283,
      maxPositions: 8192,
    });
    expect(config.theta).toEqual({ full_attention: 160_000, sliding_attention: 10_000 });
    const full = config.layerTypes.flatMap((type, i) => (type === "full_attention" ? i : []));
    expect(full).toEqual([0, 3, 6, 9, 12, 15, 18, 21]);
    expect(modernbert.limits(config)).toEqual({ vocabSize: 50_368, maxLength: 8192 });
  });

  test.each([
    ["nothing", {}, [160_000, 10_000]],
    ["rope_parameters", { rope_parameters: types(5000, 70) }, [5000, 70]],
    [
      "rope_parameters of one kind",
      { rope_parameters: { sliding_attention: {} } },
      [160_000, 10_000],
    ],
    ["the older keys", { global_rope_theta: 80, local_rope_theta: 40 }, [80, 40]],
    ["no own base for windows", { global_rope_theta: 80, local_rope_theta: null }, [80, 80]],
  ])("rotary bases: %s", (_, change, [full, sliding]) => {
    expect(parsed(change).theta).toEqual({
      full_attention: full!,
      sliding_attention: sliding!,
    });
  });

  test.each([
    [{ hidden_size: 6 }, '"hidden_size" must be a multiple of 4: 2 attention heads of even width'],
    [
      { layer_types: ["full_attention"] },
      '"layer_types" must be 3 names out of full_attention, sliding_attention',
    ],
    [{ layer_types: ["a", "b", "c"] }, '"layer_types" must be 3 names'],
    [
      { rope_parameters: { full_attention: { rope_type: "yarn", factor: 4 } } },
      "rope_parameters.full_attention",
    ],
    [{ rope_scaling: { type: "linear", factor: 2 } }, '"rope_scaling" must be unscaled'],
    [{ rope_parameters: { sliding_attention: { rope_theta: 0 } } }, "a number above 0"],
    [{ pad_token_id: 1000 }, '"pad_token_id" must be at most '],
    [{ rope_parameters: 3 }, '"rope_parameters" must be an object, got 3'],
    [{ rope_parameters: { full_attention: [] } }, '"full_attention" must be an object'],
    [{ rope_scaling: "linear" }, '"rope_scaling" must be an object, got "linear"'],
    [{ classifier_pooling: "max" }, '"classifier_pooling" must be one of cls, mean'],
    [{ hidden_activation: "mish" }, '"hidden_activation"'],
  ])("refuses %j", (change, message) => {
    expect(() => parsed(change)).toThrow(message);
  });
});
