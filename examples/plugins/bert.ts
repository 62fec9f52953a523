import { configReader, definePlugin, nn, tokenizers } from "adalora";

const HEADS = /^(bert\.pooler|classifier|qa_outputs)\./;
const NAMES = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  output: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  up: "intermediate.dense",
  down: "output.dense",
  mlpNorm: "output.LayerNorm",
};

/** BERT: learned positions, token types, and a tanh pooler before the classifier. */
export default definePlugin({
  name: "bert",
  modelTypes: ["bert"],
  tasks: ["classification", "regression", "span"],

  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    const [hiddenSize, heads] = [c.width("hidden_size"), c.width("num_attention_heads")];
    c.check("hidden_size", hiddenSize % heads === 0, `a multiple of ${heads}, the attention heads`);
    const hidden = c.probability("hidden_dropout_prob", 0.1);
    return {
      vocabSize: c.width("vocab_size"),
      hiddenSize,
      layers: c.layers("num_hidden_layers"),
      heads,
      ffnSize: c.width("intermediate_size"),
      activation: c.activation("hidden_act", "gelu"),
      layerNormEps: c.positive("layer_norm_eps", 1e-12),
      initializerRange: c.notNegative("initializer_range", 0.02),
      maxPositions: c.width("max_position_embeddings", 512),
      paddingId: c.count("pad_token_id", 0),
      tokenTypes: c.width("type_vocab_size", 2),
      dropout: {
        hidden,
        attention: c.probability("attention_probs_dropout_prob", 0.1),
        head: c.probability("classifier_dropout", hidden),
      },
    };
  },

  limits: ({ vocabSize, maxPositions }) => ({ vocabSize, maxLength: maxPositions }),

  build(config, head, scope) {
    const dropout = { ...config.dropout, ...head.dropout };
    const { hiddenSize: width, initializerRange: std } = config;
    const bert = scope.child("bert");
    const tables = bert.child("embeddings");
    const encoder = new nn.Encoder({
      embeddings: new nn.Embeddings({
        tables: [
          nn.words(tables.table("word_embeddings", config.vocabSize, width, std)),
          nn.positions(tables.table("position_embeddings", config.maxPositions, width, std)),
          nn.tokenTypes(tables.table("token_type_embeddings", config.tokenTypes, width, std)),
        ],
        norm: tables.layerNorm("LayerNorm", width, config.layerNormEps),
        dropout: dropout.hidden,
      }),
      padding: { queries: head.paddedQueries, token: { id: config.paddingId } },
      layers: Array.from({ length: config.layers }, (_, i) =>
        nn.PostNormLayer.named(bert.child(`encoder.layer.${i}`), NAMES, { ...config, dropout }),
      ),
    });
    const output = (name: string) => scope.linear(name, width, head.labels, std);
    if (head.task === "span") return new nn.SpanHead({ encoder, output: output("qa_outputs") });
    const dense = bert.linear("pooler.dense", width, width, std);
    return new nn.PooledHead({
      encoder,
      dense,
      activation: "tanh",
      output: output("classifier"),
      dropout: { output: dropout.head },
    });
  },

  weights: {
    prefix: "bert.",
    rename: [
      [/\.LayerNorm\.gamma$/, ".LayerNorm.weight"],
      [/\.LayerNorm\.beta$/, ".LayerNorm.bias"],
    ],
    ignore: [/^(cls|pooler)\./, HEADS, /(^|\.)position_ids$/],
    optional: [HEADS],
  },

  adapters: {
    modules: nn.adaptedModules("bert.encoder.layer", NAMES),
    prefixes: {},
    trainable: [HEADS],
    saved: ["pooler", "classifier", "qa_outputs"],
  },

  tokenizer: tokenizers.bert,
});
