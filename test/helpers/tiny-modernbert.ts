import { startAdapters } from "../../core/adalora/start.ts";
import { loraValues } from "../../core/adalora/starts/lora.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";
import type { Backend } from "../../core/backend.ts";
import { isOneOf, type Method, svdMethods } from "../../core/config/method.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { type AdaptedModel, adaptModel, declareModel } from "../../core/model/open-model.ts";
import type { HeadKind } from "../../core/model/plugin.ts";
import { modernbert } from "../../plugins/modernbert/index.ts";

/** config.json of a tiny ModernBERT with both kinds of layers, and large initial weights. */
export const tinyModernBertConfig = {
  model_type: "modernbert",
  vocab_size: 24,
  hidden_size: 8,
  intermediate_size: 6,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  max_position_embeddings: 16,
  local_attention: 4,
  pad_token_id: 0,
  initializer_range: 0.4,
} as const;

/** Options of a tiny ModernBERT. */
export interface TinyModernBertOptions {
  readonly method?: Method;
  readonly task?: HeadKind;
  /** Of hidden states, attention, head, and the adapters' inputs. */
  readonly dropout?: number;
  readonly config?: object;
}

/** A tiny initialized ModernBERT, adapted by a method; determined by its options alone. */
export function tinyModernBert(
  backend: Backend,
  options: TinyModernBertOptions = {},
): AdaptedModel {
  const { method = "adalora", task = "classification", dropout = 0 } = options;
  const config = modernbert.parseConfig({ ...tinyModernBertConfig, ...options.config });
  const overrides = { hidden: dropout, attention: dropout, head: dropout };
  const head = { task, labels: 2, dropout: overrides, paddedQueries: "uniform" } as const;
  const declared = declareModel(modernbert, config, head);
  const adapted = adaptModel(declared, { method, modules: null, rank: 2, alpha: 4, dropout });
  initializeWeights(backend, adapted.tree, 5);
  const values = isOneOf(method, svdMethods) ? paperValues : loraValues;
  startAdapters(backend, adapted.adapters, values, 5);
  return adapted;
}
