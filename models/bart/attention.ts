import {
  type AttendedRows,
  type ForwardPass,
  type ModuleScope,
  nn,
  ops,
  type Sequences,
  type Tensor,
} from "../../core/kit/kit.ts";
import type { BartConfig, BartStack } from "./config.ts";

/**
 * Multi-head attention with its output projection. Keys and values are projected in a separate
 * call, so that a decoder can project a source's once for all its tokens, and cache those of
 * earlier tokens.
 */
export class BartAttention implements nn.Attention {
  readonly #config: BartConfig;
  readonly #heads: number;
  readonly #key: nn.Linear;
  readonly #value: nn.Linear;
  readonly #query: nn.Linear;
  readonly #output: nn.Linear;

  constructor(scope: ModuleScope, config: BartConfig, { heads }: BartStack) {
    const { hiddenSize, initializerRange } = config;
    const project = (which: string) =>
      scope.linear(which, hiddenSize, hiddenSize, initializerRange);
    this.#config = config;
    this.#heads = heads;
    this.#key = project("k_proj");
    this.#value = project("v_proj");
    this.#query = project("q_proj");
    this.#output = project("out_proj");
  }

  /** Self-attention in both directions; all rows are queries. */
  forward(pass: ForwardPass, _queries: Tensor, x: Tensor, { packing }: nn.BatchRows): Tensor {
    return this.attendSelf(pass, x, packing, { causal: false });
  }

  /** Self-attention of packed rows. x, result: [N, C]. */
  attendSelf(
    pass: ForwardPass,
    x: Tensor,
    rows: Sequences,
    { causal }: { causal: boolean },
  ): Tensor {
    const attended = [this.#key.member(pass, x), this.#value.member(pass, x)] as const;
    const dropout = pass.nextDropout(this.#config.dropout.attention);
    const [k, v, q] = ops.linears(pass, x, [...attended, this.#query.member(pass, x)]);
    const shape = { queries: rows, keys: rows, ...this.#headShape, causal, dropout };
    return this.#output.forward(pass, ops.attention(pass, { q, k, v }, { shape }));
  }

  /** Projects packed rows to keys and values. x: [M, C]. */
  attended(pass: ForwardPass, x: Tensor, rows: Sequences): AttendedRows {
    const [k, v] = nn.projectAll(pass, x, [this.#key, this.#value]);
    return { k, v, rows };
  }

  /** Attention to other rows. x: [N, C], the packed `queries`; returns [N, C]. */
  attend(
    pass: ForwardPass,
    x: Tensor,
    queries: Sequences,
    { k, v, rows: keys }: AttendedRows,
  ): Tensor {
    const dropout = pass.nextDropout(this.#config.dropout.attention);
    const shape = { queries, keys, ...this.#headShape, causal: false, dropout };
    const q = this.#query.forward(pass, x);
    return this.#output.forward(pass, ops.attention(pass, { q, k, v }, { shape }));
  }

  /** x: [N, C], of which each row attends to `count` chosen rows; returns [N, C]. */
  attendChosen(pass: ForwardPass, x: Tensor, chosen: ops.ChosenRows, count: number): Tensor {
    const q = this.#query.forward(pass, x);
    const shape = { rows: x.shape[0] ?? 0, count, ...this.#headShape };
    return this.#output.forward(pass, ops.attendChosenRows(pass, q, chosen, shape));
  }

  get #headShape() {
    const headDim = this.#config.hiddenSize / this.#heads;
    return { heads: this.#heads, headDim, scale: Math.sqrt(headDim) };
  }
}
