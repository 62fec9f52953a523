import { attachAdapters, nameInLayer, selectLinears } from "../../core/model/select-linears.ts";
import { type Adapter, adapterScale } from "../../core/nn/adapter.ts";
import { normals, streamOf } from "../../core/rng.ts";
import type { Parameter } from "../../core/tensor.ts";
import { counted, findings, listed, type PluginFinding } from "./finding.ts";
import { largestDifference, logitsOf, ROUNDING, type Subject } from "./subject.ts";

const { ok, fail, skip } = findings("increments");

const RANK = 2;

/** Checks that adapters with E = 0 change no logit, and that each with E ≠ 0 changes some. */
export function checkIncrements(subject: Subject): PluginFinding {
  const { plugin, tree, backend } = subject;
  const { modules, trainable } = plugin.adapters;
  const paths = [...tree.adaptable.keys()];
  // Patterns that match no layer, or a head, are findings of their own.
  const isHead = (path: string) => trainable.some((pattern) => pattern.test(`${path}.weight`));
  const short = Object.entries(modules)
    .map(([name, pattern]) => ({ name, found: paths.filter((path) => pattern.test(path)) }))
    .filter(({ found }) => found.length > 0 && !found.some(isHead))
    .map(({ name }) => name);
  if (short.length === 0) return skip("no pattern of adapters.modules matches a linear layer");
  const before = logitsOf(subject);
  const scale = adapterScale(4, RANK, true);
  const linears = selectLinears(tree, plugin, short);
  const adapters = attachAdapters(linears, { rank: RANK, scale, svd: true });
  const upload = (parameter: Parameter | undefined, values: ArrayLike<number>) => {
    if (!parameter) return;
    if (!parameter.loaded) parameter.buffer = backend.alloc(backend.master, parameter.length);
    backend.upload(parameter.buffer, values);
  };
  for (const { a, e, b } of adapters) {
    for (const factor of [a, b])
      upload(factor, normals(factor.length, 1, 3, streamOf(factor.name)));
    upload(e, new Float32Array(RANK));
  }
  const change = largestDifference(before, logitsOf(subject));
  if (change > ROUNDING) {
    const hint =
      "call the forward of each linear as it is: an adapter must not change what else is computed";
    const message = `adapters with zero increments change logits by ${change.toExponential(1)}`;
    return fail(message, hint);
  }
  const hasEffect = ({ e }: Adapter) => {
    upload(e, new Float32Array(RANK).fill(1));
    const differs = largestDifference(before, logitsOf(subject)) > ROUNDING;
    upload(e, new Float32Array(RANK));
    return differs;
  };
  const idle = adapters.filter((adapter) => !hasEffect(adapter)).map(({ path }) => path);
  if (idle.length === 0) return ok(`each of ${counted(adapters.length, "adapter")} has an effect`);
  const names = [...new Set(idle.map((path) => nameInLayer(path, plugin)))];
  const hint =
    "call the layer's own forward(pass, x): ops.linear with its weight and bias leaves its adapter out";
  return fail(`adapters of ${listed(names)} have no effect: ${listed(idle)}`, hint);
}
