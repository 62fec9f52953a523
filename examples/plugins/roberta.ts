import { configReader, definePlugin, nn, tokenizers } from "adalora";

const HEADS = /^(classifier|qa_outputs)\./;
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

/** RoBERTa: BERT whose positions begin behind the padding id, with a head instead of a pooler. */
export default definePlugin({
  name: "roberta",
  modelTypes: ["roberta"],
  tasks: ["classification", "regression", "span"],

  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    const [hiddenSize, heads] = [c.width("hidden_size"), c.width("num_attention_heads")];
    c.check("hidden_size", hiddenSize % heads === 0, `a multiple of ${heads}, the attention heads`);
    const hidden = c.probability("hidden_dropout_prob", 0.1);
    const paddingId = c.count("pad_token_id", 1);
    const rows = c.between("max_position_embeddings", 514, paddingId + 2);
    return {
      vocabSize: c.width("vocab_size"),
      hiddenSize,
      layers: c.layers("num_hidden_layers"),
      heads,
      ffnSize: c.width("intermediate_size"),
      activation: c.activation("hidden_act", "gelu"),
      layerNormEps: c.positive("layer_norm_eps", 1e-5),
      initializerRange: c.notNegative("initializer_range", 0.02),
      paddingId,
      maxPositions: rows - paddingId - 1,
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
    const first = config.paddingId + 1;
    const roberta = scope.child("roberta");
    const tables = roberta.child("embeddings");
    const encoder = new nn.Encoder({
      embeddings: new nn.Embeddings({
        tables: [
          nn.words(tables.table("word_embeddings", config.vocabSize, width, std)),
          nn.positions(
            tables.table("position_embeddings", config.maxPositions + first, width, std),
            first,
          ),
          nn.tokenTypes(tables.table("token_type_embeddings", config.tokenTypes, width, std)),
        ],
        norm: tables.layerNorm("LayerNorm", width, config.layerNormEps),
        dropout: dropout.hidden,
      }),
      padding: { queries: head.paddedQueries, token: { id: config.paddingId, position: -1 } },
      layers: Array.from({ length: config.layers }, (_, i) =>
        nn.PostNormLayer.named(roberta.child(`encoder.layer.${i}`), NAMES, { ...config, dropout }),
      ),
    });
    const output = (name: string) => scope.linear(name, width, head.labels, std);
    if (head.task === "span") return new nn.SpanHead({ encoder, output: output("qa_outputs") });
    return new nn.PooledHead({
      encoder,
      dense: scope.linear("classifier.dense", width, width, std),
      activation: "tanh",
      output: output("classifier.out_proj"),
      dropout: { pooled: dropout.head, output: dropout.head },
    });
  },

  weights: {
    prefix: "roberta.",
    rename: [],
    ignore: [/^(lm_head|(roberta\.)?pooler)\./, HEADS, /(^|\.)position_ids$/],
    optional: [HEADS],
  },

  adapters: {
    modules: nn.adaptedModules("roberta.encoder.layer", NAMES),
    prefixes: {},
    trainable: [HEADS],
    saved: ["classifier", "qa_outputs"],
  },

  tokenizer: tokenizers.bart,
});
