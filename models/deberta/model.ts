import { errors, type Model, type ModuleScope, nn, type TaskHead } from "../../core/kit/kit.ts";
import { debertaBackbone } from "./backbone.ts";
import type { DebertaConfig } from "./config.ts";

/**
 * Builds the model of a task; the head's dropout overrides the checkpoint's. Throws E_CONFIG for a
 * pooler of another width than the backbone.
 */
export function buildDeberta(config: DebertaConfig, head: TaskHead, scope: ModuleScope): Model {
  const { poolerSize, hiddenSize, initializerRange: std } = config;
  const dropout = {
    hidden: head.dropout?.hidden ?? config.dropout.hidden,
    attention: head.dropout?.attention ?? config.dropout.attention,
    pooler: config.dropout.pooler,
    head: head.dropout?.head ?? config.dropout.head,
  };
  const isSpan = head.task === "span";
  if (!isSpan && poolerSize !== hiddenSize) {
    const rule = `${hiddenSize}, the hidden_size`;
    throw errors.config("config.json", "pooler_hidden_size", rule, poolerSize);
  }
  const encoder = debertaBackbone(scope, { ...config, dropout }, head.paddedQueries);
  if (isSpan)
    return new nn.SpanHead({ encoder, output: scope.linear("qa_outputs", hiddenSize, 2, std) });
  return new nn.PooledHead({
    encoder,
    dense: scope.linear("pooler.dense", poolerSize, poolerSize, std),
    activation: config.poolerActivation,
    output: scope.linear("classifier", poolerSize, head.labels, std),
    dropout: { pooled: dropout.pooler, output: dropout.head },
  });
}
