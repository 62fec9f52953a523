import { describe, expect, test } from "bun:test";
import { attachAdapters } from "../../core/model/select-linears.ts";
import { startAdapters } from "../../core/adalora/start.ts";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { defineOp } from "../../core/op.ts";
import { activation } from "../../core/ops/activation.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import { linear } from "../../core/ops/linear.ts";
import { ParameterArena } from "../../core/optim/parameter-arena.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { Parameter } from "../../core/tensor.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { gradcheck } from "../helpers/gradcheck.ts";
import { fresh, product } from "../helpers/ops.ts";
import {
  tinyAllocator,
  tinyBatch,
  tinyConfig,
  tinyModel,
  tinyTrainer,
} from "../helpers/tiny-model.ts";
import { integers, masters } from "../helpers/upload.ts";
import { counted, watched } from "../helpers/watched-backend.ts";
import { wave } from "../helpers/wave.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";

/** y = a + b; backward gives one buffer to both. */
const sum = defineOp({
  name: "sum",
  inputs: { a: "required", b: "required" },
  forward(pass, { a, b }) {
    const out = pass.allocate(a.buffer.length);
    pass.backend.copy(out, a.buffer);
    pass.backend.add(out, b.buffer);
    return { shape: a.shape, out, saved: {}, keep: [] };
  },
  backward(_pass, dy, _saved, { a: da, b: db }) {
    if (da.needed) da.give(dy);
    if (db.needed) db.give(dy);
  },
});

describe("gradients of a graph", () => {
  test("a tensor that is used twice gets the sum", () => {
    const backend = createReferenceBackend();
    const x = new Parameter("x", [2, 2]);
    x.buffer = masters(backend, [1, 2, 3, 4]);
    x.grad = masters(backend, [0, 0, 0, 0]);
    x.requiresGrad = true;
    const v = masters(backend, [5, 7, 11, 13]);
    const pass = new ForwardPass(backend, { training: true });
    pass.scope(() => {
      const y = sum(pass, { a: fresh(pass, { x }, {}), b: x }, {}); // y = 2 x
      pass.tape.backward(product(pass, { y }, { cotangent: v }), 0.5);
    });
    expect(Array.from(backend.download(x.grad))).toEqual([5, 7, 11, 13]);
  });

  // In each graph two tensors share a gradient buffer, before one of the gradients changes in
  // place.
  test("two tensors that share a gradient buffer do not affect each other: added in place", () =>
    gradcheck("shared", {
      inputs: { a: [3, 2], b: [3, 2], w: [2, 2] },
      overwrites: ["a", "b"],
      build(pass, { a, b, w }) {
        const later = linear(pass, { x: a, weight: w }, {}); // its backward comes last
        return sum(pass, { a: later, b: sum(pass, { a, b }, {}) }, {});
      },
    }));

  test("two tensors that share a gradient buffer do not affect each other: overwritten", () =>
    gradcheck("shared", {
      inputs: { a: [3, 2], b: [3, 2], w: [2, 2] },
      overwrites: [],
      build(pass, { a, b, w }) {
        const later = linear(pass, { x: b, weight: w }, {});
        return sum(pass, { a: activation(pass, { x: a }, { kind: "gelu" }), b: later }, {});
      },
    }));

  test("two tensors that share a gradient buffer do not affect each other: scattered", () =>
    gradcheck("shared", {
      inputs: { a: [3, 2], b: [3, 2] },
      overwrites: ["a", "b"],
      build(pass, { a, b }) {
        const later = gatherRows(pass, { table: b }, { ids: pass.integers([2, 2, 0]) });
        return sum(pass, { a: later, b: sum(pass, { a, b }, {}) }, {});
      },
    }));

  test("two tensors that share a gradient buffer do not affect each other: given twice", () =>
    gradcheck("shared", {
      inputs: { a: [3, 2], b: [3, 2] },
      overwrites: ["a", "b"],
      build: (pass, { a, b }) =>
        sum(
          pass,
          { a: sum(pass, { a, b }, {}), b: sum(pass, { a: b, b: sum(pass, { a, b: a }, {}) }, {}) },
          {},
        ),
    }));

  test("backward seeds the loss with the given gradient", () => {
    const backend = createReferenceBackend();
    const x = new Parameter("x", [3]);
    x.buffer = masters(backend, [1, 2, 3]);
    x.grad = masters(backend, [10, 20, 30]);
    x.requiresGrad = true;
    const pass = new ForwardPass(backend, { training: true });
    pass.scope(() => {
      const loss = product(pass, { y: x }, { cotangent: masters(backend, [1, -1, 2]) });
      pass.tape.backward(loss, 0.25);
    });
    expect(Array.from(backend.download(x.grad))).toEqual([10.25, 19.75, 30.5]); // accumulated
  });

  test("a trained parameter without a gradient buffer is an internal error that names it", () => {
    const backend = createReferenceBackend();
    const x = new Parameter("encoder.x", [3]);
    x.buffer = masters(backend, [1, 2, 3]);
    x.requiresGrad = true;
    const pass = new ForwardPass(backend, { training: true });
    const backward = () =>
      pass.scope(() => {
        pass.tape.backward(product(pass, { y: x }, { cotangent: masters(backend, [1, 1, 1]) }), 1);
      });
    expect(backward).toThrow("internal: parameter encoder.x is trained but has no gradient buffer");
  });
});

describe("memory", () => {
  test("live bytes return to the start after each full AdaLoRA step", () => {
    const backend = createReferenceBackend();
    const model = tinyModel(backend, { dropout: 0.2 });
    const trainer = tinyTrainer(backend, model, { allocator: tinyAllocator });
    const before = backend.memory().live;
    for (let step = 0; step < 12; step++) {
      trainer.step([tinyBatch([0, 1, 2]), tinyBatch([3, 4])]);
      expect(backend.memory().live).toBe(before);
    }
    expect(backend.memory().peak).toBeGreaterThan(before);
  });

  test("live bytes return to the start after full fine-tuning and after regression too", () => {
    for (const [method, labels] of [
      ["full", 2],
      ["adalora", 1],
    ] as const) {
      const backend = createReferenceBackend();
      const trainer = tinyTrainer(backend, tinyModel(backend, { method, labels }), {}, labels);
      const before = backend.memory().live;
      trainer.step([tinyBatch([0, 1, 2])]);
      expect(backend.memory().live).toBe(before);
    }
  });

  test("live memory falls as backward walks the layers", () => {
    const live: number[] = [];
    const reference = createReferenceBackend();
    const backend = watched(reference, (name) => {
      if (name === "disentangledAttentionBackward") live.push(reference.memory().live);
    });
    const model = tinyModel(backend, { config: { num_hidden_layers: 5 } });
    tinyTrainer(backend, model).step([tinyBatch([0, 1, 2, 3])]);
    expect(live).toHaveLength(5);
    for (let i = 1; i < live.length; i++) expect(live[i]!).toBeLessThan(live[i - 1]!);
  });

  test("a frozen layer keeps nothing that only the gradient of its weight needs", () => {
    // of a frozen linear without adapter: x is not saved
    const backend = createReferenceBackend();
    const [x, w] = [new Parameter("x", [50, 4]), new Parameter("w", [3, 4])];
    x.buffer = masters(backend, wave(200, 0));
    x.grad = masters(backend, new Float64Array(200));
    x.requiresGrad = true;
    w.buffer = masters(backend, wave(12, 0));
    const pass = new ForwardPass(backend, { training: true });
    pass.scope(() => {
      const before = backend.memory().live;
      pass.scope(() => linear(pass, { x: fresh(pass, { x }, {}), weight: w }, {}));
      expect(backend.memory().live - before).toBe(150 * 8); // y alone
      pass.tape.clear();
    });
  });
});

describe("gradients stop below the lowest trained module", () => {
  const step = (pick: (path: string) => boolean, trainsHead = true) => {
    const { backend, calls, reset } = counted(createReferenceBackend());
    const config = deberta.parseConfig({ ...tinyConfig, num_hidden_layers: 3 });
    const declared = declareModel(deberta, config, { task: "classification", labels: 2 });
    const linears = [...declared.tree.linears.values()].filter(({ path }) => pick(path));
    const adapters = attachAdapters(linears, { rank: 2, scale: 4, svd: true });
    const trained = [...declared.tree.parameters.values()].filter(
      ({ name }) => trainsHead && /^(pooler|classifier)/.test(name),
    );
    initializeWeights(backend, declared.tree, 1);
    startAdapters(backend, adapters, paperValues, 1);
    const trainer = tinyTrainer(backend, { ...declared, adapters, trained });
    reset();
    trainer.step([tinyBatch([0, 1, 2])]);
    return {
      attention: calls("disentangledAttentionBackward"),
      norms: calls("addLayerNormBackward"),
      activations: calls("activationBackward"),
      scatters: calls("scatterAddRows"),
    };
  };

  test("the head only: no layer", () =>
    expect(step(() => false)).toEqual({ attention: 0, norms: 0, activations: 1, scatters: 0 }));

  test("the last layer's output: only its norm", () =>
    expect(step((path) => path.endsWith("layer.2.output.dense"))).toEqual({
      attention: 0,
      norms: 1,
      activations: 1,
      scatters: 0,
    }));

  test("the last layer's value projection: one attention, two norms", () =>
    expect(step((path) => path.endsWith("layer.2.attention.self.value_proj"))).toEqual({
      attention: 1,
      norms: 2,
      activations: 2,
      scatters: 0,
    }));

  test("the second layer's value projection: two attentions", () =>
    expect(step((path) => path.endsWith("layer.1.attention.self.value_proj"))).toEqual({
      attention: 2,
      norms: 4,
      activations: 3,
      scatters: 1, // of the first tokens, the only queries of the last layer
    }));
});

describe("evaluation", () => {
  const logitsOf = (layers: number, training: boolean) => {
    const backend = createReferenceBackend();
    const model = tinyModel(backend, { config: { num_hidden_layers: layers } });
    const arena = new ParameterArena(
      backend,
      [],
      model.adapters.flatMap(({ a, e, b }) => [a, b, ...(e ? [e] : [])]),
    );
    const { live: start, peak: before } = backend.memory();
    let requiresGrad = false;
    const pass = new ForwardPass(backend, { training });
    pass.scope(() => {
      const loss = sequenceLoss(model.model, "classification")(pass, tinyBatch([0, 1, 2, 3]));
      ({ requiresGrad } = loss);
      pass.tape.clear();
    });
    expect(arena.length).toBeGreaterThan(0);
    expect(backend.memory().peak).toBeGreaterThan(before); // the pass has the peak
    return {
      end: backend.memory().live - start,
      peak: backend.memory().peak - start,
      requiresGrad,
    };
  };

  test("records nothing: no memory outlives a layer", () => {
    const [two, four] = [logitsOf(2, false), logitsOf(4, false)];
    expect(two.requiresGrad).toBe(false);
    expect(four.peak).toBe(two.peak);
    expect(two.end).toBe(0);
  });

  test("training keeps what backward needs", () => {
    const [two, six] = [logitsOf(2, true), logitsOf(6, true)];
    expect(two.requiresGrad).toBe(true);
    expect(six.peak).toBeGreaterThan(two.peak);
    expect(two.end).toBe(0); // the tape was cleared
  });

  test("dropout is off", () => {
    const pass = new ForwardPass(createReferenceBackend(), { training: false });
    expect(pass.nextDropout(0.5)).toBeUndefined();
  });
});

describe("dropout sites", () => {
  const backend = createReferenceBackend();

  test("each site and pass draws its own mask; a site that drops nothing still counts", () => {
    const pass = new ForwardPass(backend, { training: true, seed: [3, 4], index: 5 });
    expect(pass.nextDropout(0.5)).toEqual({ probability: 0.5, seed: [3, 4], step: 5, site: 0 });
    expect(pass.nextDropout(0)).toBeUndefined();
    expect(pass.nextDropout(0.1)).toEqual({ probability: 0.1, seed: [3, 4], step: 5, site: 2 });
  });
});

describe("scopes", () => {
  const bytes = (backend: Backend) => backend.memory().live;

  test("only a scope's result moves to the outer scope", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const kept = pass.scope(() => {
        pass.allocate(10);
        return { shape: [4], buffer: pass.allocate(4), requiresGrad: false };
      });
      expect(bytes(backend)).toBe(4 * 8);
      expect(kept.buffer.length).toBe(4);
    });
    expect(bytes(backend)).toBe(0);
  });

  test("a buffer outside of any scope is an internal error", () => {
    const pass = new ForwardPass(createReferenceBackend(), { training: false });
    expect(() => pass.allocate(1)).toThrow("internal: a buffer is allocated outside of any scope");
  });

  test("an exception frees what inner and outer scopes allocated", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    const failing = () =>
      pass.scope(() => {
        pass.allocate(10);
        pass.scope(() => {
          pass.allocate(5);
          throw new Error("inside");
        });
      });
    expect(failing).toThrow("inside");
    expect(bytes(backend)).toBe(0);
  });

  test("an exception that the outer scope catches leaves its buffers alone", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      pass.allocate(10);
      expect(() =>
        pass.scope(() => {
          pass.allocate(5);
          throw new Error("inside");
        }),
      ).toThrow("inside");
      expect(bytes(backend)).toBe(80);
      pass.allocate(1); // the outer scope is still open
    });
    expect(bytes(backend)).toBe(0);
  });

  // a training step in which one kernel throws
  for (const kernel of ["crossEntropy", "activationBackward", "disentangledAttentionBackward"]) {
    test(`a training step that fails in ${kernel} frees what its tape held`, () => {
      const reference = createReferenceBackend();
      let broken = false;
      const backend = watched(reference, (name) => {
        if (broken && name === kernel) throw new Error("out of order");
      });
      const trainer = tinyTrainer(backend, tinyModel(backend, { dropout: 0.1 }));
      const before = bytes(reference);
      broken = true;
      expect(() => trainer.step([tinyBatch([0, 1, 2])])).toThrow("out of order");
      expect(bytes(reference)).toBe(before);
      broken = false;
      trainer.step([tinyBatch([0, 1, 2])]);
      expect(bytes(reference)).toBe(before);
    });
  }

  test("a buffer may be dropped before its scope ends", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const buffer = pass.allocate(10);
      pass.tape.drop(buffer);
      expect(bytes(backend)).toBe(0);
      pass.tape.drop(integers(backend, [1])); // not of this scope: not freed
      expect(bytes(backend)).toBe(4);
    });
  });
});
