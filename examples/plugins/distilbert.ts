import { configReader, definePlugin, nn, tokenizers } from "adalora";

const HEADS = /^(pre_classifier|classifier|qa_outputs)\./;
const NAMES = {
  query: "attention.q_lin",
  key: "attention.k_lin",
  value: "attention.v_lin",
  output: "attention.out_lin",
  attentionNorm: "sa_layer_norm",
  up: "ffn.lin1",
  down: "ffn.lin2",
  mlpNorm: "output_layer_norm",
};

/** DistilBERT: BERT without token types, with a layer before the classifier instead of a pooler. */
export default definePlugin({
  name: "distilbert",
  modelTypes: ["distilbert"],
  tasks: ["classification", "regression", "span"],

  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    const [hiddenSize, heads] = [c.width("dim"), c.width("n_heads")];
    c.check("dim", hiddenSize % heads === 0, `a multiple of ${heads}, the attention heads`);
    return {
      vocabSize: c.width("vocab_size"),
      hiddenSize,
      layers: c.layers("n_layers"),
      heads,
      ffnSize: c.width("hidden_dim"),
      activation: c.activation("activation", "gelu"),
      layerNormEps: 1e-12, // config.json has no key for it
      initializerRange: c.notNegative("initializer_range", 0.02),
      maxPositions: c.width("max_position_embeddings", 512),
      paddingId: c.count("pad_token_id", 0),
      dropout: {
        hidden: c.probability("dropout", 0.1),
        attention: c.probability("attention_dropout", 0.1),
        classifier: c.probability("seq_classif_dropout", 0.2),
        span: c.probability("qa_dropout", 0.1),
      },
    };
  },

  limits: ({ vocabSize, maxPositions }) => ({ vocabSize, maxLength: maxPositions }),

  build(config, head, scope) {
    const dropout = { ...config.dropout, ...head.dropout };
    const { hiddenSize: width, initializerRange: std } = config;
    const bert = scope.child("distilbert");
    const tables = bert.child("embeddings");
    const encoder = new nn.Encoder({
      embeddings: new nn.Embeddings({
        tables: [
          nn.words(tables.table("word_embeddings", config.vocabSize, width, std)),
          nn.positions(tables.table("position_embeddings", config.maxPositions, width, std)),
        ],
        norm: tables.layerNorm("LayerNorm", width, config.layerNormEps),
        dropout: dropout.hidden,
      }),
      padding: { queries: head.paddedQueries, token: { id: config.paddingId } },
      layers: Array.from({ length: config.layers }, (_, i) =>
        nn.PostNormLayer.named(bert.child(`transformer.layer.${i}`), NAMES, { ...config, dropout }),
      ),
    });
    const output = (name: string) => scope.linear(name, width, head.labels, std);
    const { classifier, span } = config.dropout;
    if (head.task === "span") {
      const drop = head.dropout?.head ?? span;
      return new nn.SpanHead({ encoder, output: output("qa_outputs"), dropout: drop });
    }
    return new nn.PooledHead({
      encoder,
      dense: scope.linear("pre_classifier", width, width, std),
      activation: "relu",
      output: output("classifier"),
      dropout: { output: head.dropout?.head ?? classifier },
    });
  },

  weights: {
    prefix: "distilbert.",
    rename: [],
    ignore: [/^vocab_(transform|layer_norm|projector)\./, HEADS, /(^|\.)position_ids$/],
    optional: [HEADS],
  },

  adapters: {
    modules: nn.adaptedModules("distilbert.transformer.layer", NAMES),
    prefixes: {},
    trainable: [HEADS],
    saved: ["pre_classifier", "classifier", "qa_outputs"],
  },

  tokenizer: tokenizers.bert,
});
