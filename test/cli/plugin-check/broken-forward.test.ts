import { describe, expect, test } from "bun:test";
import { ops, type Tensor } from "../../../core/kit/kit.ts";
import { type Config, pluginChecks, right, withSteps } from "./plugin-checks.ts";
import type { Steps } from "./small-plugin.ts";

const { complaints } = pluginChecks(import.meta.path);

describe("forward", () => {
  test("a throw names the line", async () => {
    const steps = {
      embedded: (): Tensor => {
        throw new TypeError("x is undefined");
      },
    };
    expect(await complaints(withSteps(steps))).toMatchInlineSnapshot(`
      "fail forward: plugin "small", forward, broken-forward.test.ts:LINE: TypeError: x is undefined
        change: -"
    `);
  });

  test("logits of another shape", async () =>
    expect(await complaints(withSteps({ outputs: () => 2 }))).toMatchInlineSnapshot(`
      "fail forward: plugin "small", forward: must return logits [4, 3], got [4, 2]
        change: return one row per sequence, of head.labels columns"
    `));

  test("limits beyond the tables", async () => {
    const longer = (c: Config) => ({ ...right.limits(c), maxLength: c.maxPositions + 1 });
    expect(await complaints({ ...right, limits: longer })).toMatchInlineSnapshot(`
      "fail forward: a sequence of 41 tokens, limits().maxLength, gives NaN
        change: return the rows of the position table, less those that it reserves below position 0"
    `);
    const larger = (c: Config) => ({ ...right.limits(c), vocabSize: c.vocabSize + 1 });
    expect(await complaints({ ...right, limits: larger })).toMatchInlineSnapshot(`
      "fail forward: token 64, the last below limits().vocabSize, gives NaN
        change: return the number of rows of the word embeddings"
    `);
  });

  test("a buffer that nothing sets", async () => {
    const embedded: Steps["embedded"] = (pass, x) => ({
      ...x,
      buffer: pass.allocate(x.buffer.length),
    });
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail forward: the logits hold NaN or Infinity
        change: a kernel reads what nothing has set: check sizes, and which buffers each op reads"
    `);
  });
});

describe("memory", () => {
  test("a buffer that stays live", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      pass.backend.alloc("i32", 100);
      return x;
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail memory: evaluation: 1 buffer (400 bytes) still live after the pass
        at broken-forward.test.ts:LINE
        change: allocate with pass.allocate, pass.allocateMaster or pass.integers, whose buffers end with their scope"
    `);
  });

  test("a layer's buffer that pass.checkpoint does not get", async () =>
    expect(await complaints(withSteps({ reads: ({ positions }) => [positions] })))
      .toMatchInlineSnapshot(`
      "fail memory: training with checkpointing: attention reads a buffer that has been freed, allocated at small-plugin.ts:LINE
        at small-plugin.ts:LINE
        change: name it in the list that pass.checkpoint gets: every buffer from outside that the layer reads"
    `));

  test("a buffer of an inner scope", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      let inner = x;
      pass.scope(() => {
        inner = ops.activation(pass, { x }, { kind: "tanh" });
      });
      return ops.activation(pass, { x: inner }, { kind: "tanh" });
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail memory: evaluation: activate reads a buffer that has been freed, allocated at broken-forward.test.ts:LINE
        at small-plugin.ts:LINE
        change: a buffer lives until the scope that allocated it ends: return it from there, or allocate it outside"
    `);
  });

  test("a download within a pass", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      pass.backend.download(x.buffer);
      return x;
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail memory: evaluation: forward or backward downloads values
        change: compute on the device: values are downloaded once a step, for the report"
    `);
  });
});

describe("gradients", () => {
  test("a kernel that is called past the ops", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      pass.backend.scale(x.buffer, 1.5, x.buffer);
      return x;
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail gradients: the gradient of small.words.weight (and 1 more) is wrong: backward gives -0.003694, the loss changes by -0.005542
        change: compute with nn and ops alone: what calls pass.backend directly is not recorded, and an op must not overwrite what another one reads"
    `);
  });

  test("a parameter that forward does not read", async () =>
    expect(
      await complaints({
        ...withSteps({ declare: (scope) => void scope.parameter("extra", [24], "ones") }),
        weights: { ...right.weights, ignore: [], rename: [[/^pretraining\./, "small."]] },
      }),
    ).toMatchInlineSnapshot(`
      "fail gradients: the loss does not depend on small.extra
        change: use them in forward, or do not declare them; scope.unused names tensors that a checkpoint holds and the model does not read"
    `));
});

describe("checkpointing", () => {
  test("a layer that computes something else when it is rerun", async () => {
    const layer: Steps["layer"] = (pass, reads, body) => {
      let runs = 0;
      return pass.checkpoint(reads, () => {
        const out = body();
        return ops.activation(pass, { x: out }, { kind: runs++ === 0 ? "gelu" : "gelu_new" });
      });
    };
    expect(await complaints(withSteps({ layer }))).toMatchInlineSnapshot(`
      "fail checkpointing: the gradient of small.words.weight has other bits
        change: a layer that is rerun must compute the same again: no state of its own, no random numbers but pass.nextDropout, no op that overwrites its input"
    `);
  });

  test("a layer that adapts to the memory that is free", async () => {
    const layer: Steps["layer"] = (pass, reads, body) => {
      let inner: Tensor | undefined;
      const out = pass.checkpoint(reads, () => {
        inner = body();
        return ops.activation(pass, { x: inner }, { kind: "gelu" });
      });
      const isFree = inner && pass.tape.inPlaceOf(inner.buffer) !== inner.buffer;
      const kind = pass.training && isFree ? "gelu_new" : "gelu";
      return ops.activation(pass, { x: out }, { kind });
    };
    const found = await complaints(withSteps({ layer }));
    expect(found.replaceAll(/(\d\.\d{4})\d+/g, "$1")).toMatchInlineSnapshot(`
      "fail checkpointing: the loss is 1.9652, without checkpointing 1.9651
        change: a layer that is rerun must compute the same again: no state of its own, no random numbers but pass.nextDropout, no op that overwrites its input"
    `);
  });

  test("no checkpoint is a warning", async () =>
    expect(await complaints(withSteps({ layer: (pass, _, body) => pass.scope(body) })))
      .toMatchInlineSnapshot(`
      "warn checkpointing: no part of the model is in pass.checkpoint: --checkpointing saves no memory
        change: run each layer in pass.checkpoint, as nn's encoder does"
    `));
});

describe("batches", () => {
  test("positions counted through the batch", async () => {
    const positions: Steps["positions"] = ({ ids }) => Int32Array.from(ids, (_, row) => row);
    expect(await complaints(withSteps({ positions }))).toMatchInlineSnapshot(`
      "fail batches: the logits of a sequence depend on its batch: they differ by 1.0e-1 alone and packed
        change: read positions from batch.positions and rows from batch.offsets, not from a row's index in the batch"
    `);
  });

  test("positions counted through the rows of a sequence", async () => {
    const positions: Steps["positions"] = ({ ids, offsets }) =>
      Int32Array.from(ids, (_, row) => row - Math.max(...offsets.filter((start) => start <= row)));
    expect(await complaints(withSteps({ positions }))).toMatchInlineSnapshot(`
      "fail batches: the order of tokens matters, but batch.positions does not
        change: take positions from batch.positions, which keep their values where a mask has holes; positions counted from the row's index do not"
    `);
  });
});

describe("dropout", () => {
  test("options without effect", async () =>
    expect(await complaints(withSteps({ hiddenDropout: (_, own) => own }))).toMatchInlineSnapshot(`
      "fail dropout: head.dropout.hidden and head.dropout.attention have no effect: nor has --dropout
        change: in build, take head.dropout?.hidden ?? the config's own probability"
    `));

  test("a probability that is fixed", async () =>
    expect(await complaints(withSteps({ hiddenDropout: () => 0.1 }))).toMatchInlineSnapshot(`
      "fail dropout: training drops values though every probability is 0
        change: read every probability from config.json, or from head.dropout where it is set"
    `));

  test("a mask of one's own, in evaluation too", async () => {
    const mask: Steps["mask"] = (pass, probability) => {
      const next = pass.nextDropout(probability);
      return probability > 0
        ? (next ?? { probability, seed: [1, 2], step: 0, site: 0 })
        : undefined;
    };
    expect(await complaints(withSteps({ mask }))).toMatchInlineSnapshot(`
      "fail dropout: dropout changes the logits of an evaluation
        change: take every mask from pass.nextDropout, which gives none outside training"
    `);
  });

  test("a mask that no seed repeats", async () => {
    let step = 0;
    const mask: Steps["mask"] = (pass, probability) => {
      const next = pass.nextDropout(probability);
      // only where much is dropped, so that no other check sees it
      return next && probability > 0.2 ? { ...next, step: step++ } : next;
    };
    expect(await complaints(withSteps({ mask }))).toMatchInlineSnapshot(`
      "fail dropout: two passes with the same seed give different losses
        change: take every mask from pass.nextDropout; forward must keep no state of its own"
    `);
  });
});

test("first tokens that are computed otherwise than all rows", async () => {
  const lastEps: Steps["lastEps"] = (observed) => (observed ? 1e-6 : 1e-3);
  expect(await complaints(withSteps({ lastEps }))).toMatchInlineSnapshot(`
    "fail first tokens: an observed pass gives other logits: they differ by 3.2e-4
      change: the last layer's first rows need the same residual, attention and norm as in the whole layer; what follows them must read the same rows"
  `);
});

describe("increments", () => {
  test("a layer whose forward is not called", async () => {
    const project: Steps["project"] = (layer, pass, x) => {
      const { weight, bias } = layer;
      return layer.path.endsWith("value")
        ? ops.linear(pass, { x, weight, bias }, {})
        : layer.forward(pass, x);
    };
    expect(await complaints(withSteps({ project }))).toMatchInlineSnapshot(`
      "fail increments: adapters of value have no effect: small.layer.0.value, small.layer.1.value
        change: call the layer's own forward(pass, x): ops.linear with its weight and bias leaves its adapter out"
    `);
  });

  test("an adapter that changes what else is computed", async () => {
    const project: Steps["project"] = (layer, pass, x) =>
      layer.path.endsWith("up") && layer.adapter
        ? layer.forward(pass, x, "tanh")
        : layer.forward(pass, x);
    expect(await complaints(withSteps({ project }))).toMatchInlineSnapshot(`
      "fail increments: adapters with zero increments change logits by 5.9e-1
        change: call the forward of each linear as it is: an adapter must not change what else is computed"
    `);
  });
});
