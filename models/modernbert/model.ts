import { type Model, type ModuleScope, nn, type TaskHead } from "../../core/kit/kit.ts";
import type { ModernBertConfig } from "./config.ts";
import { buildEncoder } from "./encoder.ts";

/**
 * ModernBERT (Warner et al. 2024) with a head for classification, regression or questions: dense,
 * activation, norm, dropout and an output layer, on pooled sequences or on each token.
 */
export function buildModernBert(
  config: ModernBertConfig,
  head: TaskHead,
  scope: ModuleScope,
): Model {
  const dropout = withOverrides(config.dropout, head.dropout);
  const encoder = buildEncoder({ ...config, dropout }, scope.child("model"), head.paddedQueries);
  const { hiddenSize: width, normEps, bias, initializerRange: std } = config;
  const parts = {
    encoder,
    dense: scope.linear("head.dense", width, width, std, { bias: bias.head }),
    activation: config.headActivation,
    norm: scope.layerNorm("head.norm", width, normEps, { bias: bias.norm }),
    output: scope.linear("classifier", width, head.labels, 1 / Math.sqrt(width)),
  };
  if (head.task === "span") return new nn.SpanHead({ ...parts, dropout: dropout.head });
  const pooling = config.pooling === "cls" ? nn.firstToken : nn.meanOfTokens;
  return new nn.PooledHead({ ...parts, pooling, dropout: { output: dropout.head } });
}

function withOverrides(
  own: ModernBertConfig["dropout"],
  { hidden, attention, head }: NonNullable<TaskHead["dropout"]> = {},
): ModernBertConfig["dropout"] {
  return {
    embedding: hidden ?? own.embedding,
    attention: attention ?? own.attention,
    mlp: hidden ?? own.mlp,
    head: head ?? own.head,
  };
}
