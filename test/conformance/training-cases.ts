import type { AdamWStep } from "../../core/kernels/training.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";

const LENGTHS = [1, 31, 32, 33, 40_003];

const losses: Case[] = [
  ...(
    [
      [1, 2],
      [32, 3],
      [5, 33],
      [3, 6000],
    ] as const
  ).map(([rows, classes]): Case => ({
    name: `crossEntropy ${rows}x${classes}`,
    entry: "crossEntropy",
    run({ backend, input, output, inOut }) {
      const labels = input(
        "i32",
        Int32Array.from({ length: rows }, (_, r) => (r * 5 + 1) % classes),
      );
      const logits = wave(rows * classes, 1).map((x) => x * 6);
      const loss = output("loss", "master", 1);
      const dlogits = output("dlogits", "activation", rows * classes);
      backend.crossEntropy(input("activation", logits), labels, loss, dlogits, rows, classes);
      const same = inOut("logits in place", "activation", logits);
      backend.crossEntropy(same, labels, output("loss again", "master", 1), same, rows, classes);
    },
  })),
  {
    name: "crossEntropy of a sure row, right and wrong, keeps a small gradient",
    entry: "crossEntropy",
    run({ backend, input, output }) {
      const logits = input("activation", [20, 0, 1, 0, 0, 30, 0, 0, 0]);
      const dlogits = output("dlogits", "activation", 9);
      backend.crossEntropy(
        logits,
        input("i32", [0, 2, 1]),
        output("loss", "master", 1),
        dlogits,
        3,
        3,
      );
      // The first row needs its own scale: its gradients are around 1e-9.
      const sure = output("dlogits of the sure row", "activation", 3);
      backend.scale(backend.view(dlogits, 0, 3), 1, sure);
    },
  },
  ...[1, 33].map((rows): Case => ({
    name: `meanSquaredError ${rows}`,
    entry: "meanSquaredError",
    run({ backend, input, output }) {
      const [prediction, target] = [
        input("activation", wave(rows, 1)),
        input("master", wave(rows, 2)),
      ];
      const dprediction = output("dprediction", "activation", rows);
      backend.meanSquaredError(prediction, target, output("loss", "master", 1), dprediction, rows);
    },
  })),
];

/**
 * Sequences of 1, 33 and 5 rows: two with a padding row below, one that the loss leaves out.
 */
const spans: Case[] = [
  { name: "targets at both ends and in the padding", targets: [0, 33, 40, 0, 1, 36] },
  { name: "sequences left out", targets: [-1, 5, -1, 0, -1, -1] },
  { name: "a column with every sequence left out", targets: [0, 5, 36, -1, -1, -1] },
].map(({ name, targets }) => ({
  name: `spanLoss, ${name}`,
  entry: "spanLoss",
  run({ backend, input, output }) {
    const [rows, offsets] = [41, [0, 1, 34, 39]];
    const logits = input(
      "activation",
      wave(2 * rows, 1).map((x) => 5 * x),
    );
    const shape = {
      sequences: 3,
      rows,
      offsets: input("i32", offsets),
      padding: input("i32", [39, -1, 40, 12, 0, 3]),
    };
    const loss = output("loss", "master", 1);
    backend.spanLoss(
      logits,
      input("i32", targets),
      loss,
      output("dlogits", "activation", 2 * rows),
      shape,
    );
  },
}));

const norms: Case[] = LENGTHS.flatMap((n): Case[] => [
  {
    name: `sumOfSquares ${n}`,
    entry: "sumOfSquares",
    run({ backend, input, output }) {
      backend.sumOfSquares(input("master", wave(n, 1)), output("sum", "master", 1));
    },
  },
  ...[0, 0.5, 1e6].map((maxNorm): Case => ({
    name: `clipByNorm ${n} to ${maxNorm}`,
    entry: "clipByNorm",
    run({ backend, input, output, inOut }) {
      const grad = inOut("grad", "master", wave(n, 1));
      const sum = input("master", [wave(n, 1).reduce((total, x) => total + x * x, 0)]);
      backend.clipByNorm(grad, sum, maxNorm, output("norm", "master", 1));
    },
  })),
]);

const nanNorm: Case = {
  name: "clipByNorm of a NaN norm makes every gradient NaN",
  entry: "clipByNorm",
  run({ backend, input, output, inOut }) {
    const grad = inOut("grad", "master", wave(33, 1));
    backend.clipByNorm(grad, input("master", [Number.NaN]), 1, output("norm", "master", 1));
  },
};

const STEPS: readonly AdamWStep[] = (["adamw", "adamw-hf"] as const).flatMap((variant) => [
  { variant, lr: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, t: 1 },
  { variant, lr: 3e-3, beta1: 0.85, beta2: 0.95, eps: 1e-6, weightDecay: 0, t: 1000 },
]);

const updates: Case[] = LENGTHS.flatMap((n) =>
  STEPS.flatMap((step) =>
    [false, true].map((observed): Case => ({
      name: `adamw ${step.variant} ${n}, step ${step.t}${observed ? ", importance" : ""}`,
      entry: "adamw",
      run({ backend, input, inOut }) {
        const grad = wave(n, 2).map((g, i) => (i % 7 === 3 ? 0 : g * 0.1));
        const size = (phase: number) => wave(n, phase).map(Math.abs);
        const importance = observed && {
          sensitivity: inOut("sensitivity", "master", size(5)),
          uncertainty: inOut("uncertainty", "master", size(6)),
          beta1: 0.85,
          beta2: 0.7,
        };
        backend.adamw(
          inOut("param", "master", wave(n, 1)),
          input("master", grad),
          inOut("m", "master", wave(n, 3)),
          inOut("v", "master", size(4)),
          step,
          importance || undefined,
        );
      },
    })),
  ),
);

const averages = ({ input }: Bench, n: number, phase: number) => ({
  sensitivity: input("master", wave(n, phase).map(Math.abs)),
  uncertainty: input("master", wave(n, phase + 1).map(Math.abs)),
});

const triplets: Case[] = (
  [
    [1, 1, 1],
    [12, 33, 31],
    [8, 768, 100],
    [17, 5, 3],
  ] as const
).flatMap(([rank, inFeatures, outFeatures]) =>
  [true, false].flatMap((uncertainty) =>
    [true, false].map((withE): Case => ({
      name:
        `tripletScores rank ${rank} of ${inFeatures} to ${outFeatures}` +
        `${uncertainty ? ", uncertainty" : ""}${withE ? "" : ", doublets"}`,
      entry: "tripletScores",
      run(bench) {
        const a = averages(bench, rank * inFeatures, 1);
        const e = withE ? averages(bench, rank, 3) : undefined;
        const b = averages(bench, outFeatures * rank, 5);
        const scores = bench.output("scores", "master", rank);
        const adapter = { a, e, b, scores, rank, inFeatures, outFeatures };
        bench.backend.tripletScores([adapter], uncertainty);
      },
    })),
  ),
);

/** Enough for several threads, of several sizes. */
const SIZES = Array.from({ length: 18 }, (_, i) => ({
  rank: [12, 4, 1][i % 3]!,
  width: [768, 33, 3072, 100][i % 4]!,
}));

const manyTriplets: Case = {
  name: "tripletScores of many adapters",
  entry: "tripletScores",
  run(bench) {
    const adapters = SIZES.map(({ rank, width }, i) => ({
      a: averages(bench, rank * width, i),
      e: i % 5 === 4 ? undefined : averages(bench, rank, i + 1),
      b: averages(bench, width * rank, i + 2),
      scores: bench.output(`scores ${i}`, "master", rank),
      rank,
      inFeatures: width,
      outFeatures: width,
    }));
    bench.backend.tripletScores(adapters, true);
  },
};

const TIED = [3, 1, 2, 2, -1, 2, 0, -0, 5, 1];

const tops: Case[] = [
  ...[0, 1, 4, 5, 6, 9, 10, 11].map((budget) => ({
    note: `ties, budget ${budget}`,
    budget,
    scores: TIED,
  })),
  { note: "864 scores", budget: 500, scores: [...wave(864, 1)] },
  { note: "equal scores", budget: 2, scores: [7, 7, 7, 7] },
  { note: "one NaN", budget: 2, scores: [3, Number.NaN, 1, 2] },
  { note: "a NaN threshold", budget: 0, scores: [3, Number.NaN, 1, 2] },
  {
    note: "tiny and infinite scores",
    budget: 3,
    scores: [1e-42, -1e-42, Infinity, 1e-30, -Infinity],
  },
].map(({ note, budget, scores: values }): Case => ({
  name: `keepTop ${note}`,
  entry: "keepTop",
  run({ backend, input, output }) {
    const kept = output("kept", "master", values.length);
    backend.keepTop(input("master", values), budget, kept, output("threshold", "master", 1));
  },
}));

/** Costs of triplets of 768 x 768 and of 768 x 3072 matrices. */
const costOf = (i: number) => (i % 3 === 1 ? 3841 : 1537);

const topsByCost: Case[] = [
  ...[0, 1536, 1537, 5377, 5378, 20_000, 22_281, 22_282, 1e9].map((budget) => ({
    budget,
    scores: TIED,
  })),
  ...[1e5, 1_234_567, 1_990_655].map((budget) => ({ budget, scores: [...wave(864, 1)] })),
  { budget: 4000, scores: [3, Number.NaN, 1, 2] },
].map(({ budget, scores: values }): Case => ({
  name: `keepTop by cost, budget ${budget} of ${values.length} scores`,
  entry: "keepTop",
  run({ backend, input, output }) {
    const [scores, costs] = [values, values.map((_, i) => costOf(i))].map((x) =>
      input("master", x),
    );
    const kept = output("kept", "master", values.length);
    backend.keepTop(scores!, budget, kept, output("threshold", "master", 1), costs);
  },
}));

/** x86 creates NaNs with the sign bit set, JavaScript without. */
const madeNan: Case = {
  name: "keepTop puts a NaN of the device's making last",
  entry: "keepTop",
  run({ backend, input, inOut, output }) {
    const scores = inOut("scores", "master", [3, Infinity, 1, 2]);
    backend.add(scores, input("master", [0, -Infinity, 0, 0]));
    const kept = output("kept", "master", 4);
    backend.keepTop(scores, 2, kept, output("threshold", "master", 1));
  },
};

const masks: Case[] = (
  [
    [1, 1],
    [12, 33],
    [31, 12],
  ] as const
).flatMap(([rows, cols]) =>
  [true, false].map((columns): Case => ({
    name: `applyMask ${rows}x${cols} by ${columns ? "columns" : "rows"}`,
    entry: "applyMask",
    run({ backend, input, inOut }) {
      const kept = Float64Array.from({ length: columns ? cols : rows }, (_, i) =>
        i % 3 === 1 ? 0 : 1,
      );
      const param = inOut("param", "master", wave(rows * cols, 1));
      backend.applyMask([{ param, kept: input("master", kept), rows, cols, columns }]);
    },
  })),
);

const manyMasks: Case = {
  name: "applyMask of many matrices",
  entry: "applyMask",
  run({ backend, input, inOut }) {
    const matrices = SIZES.map(({ rank, width }, i) => {
      const kept = input(
        "master",
        Array.from({ length: rank }, (_, r) => Number((r + i) % 3 > 0)),
      );
      const param = inOut(`param ${i}`, "master", wave(rank * width, i));
      const byRows = { rows: rank, cols: width, columns: false };
      const byColumns = { rows: width, cols: rank, columns: true };
      return { param, kept, ...(i % 2 ? byColumns : byRows) };
    });
    backend.applyMask(matrices);
  },
};

const orthogonality: Case[] = (
  [
    [1, 1],
    [12, 33],
    [4, 768],
    [7, 3],
  ] as const
).flatMap(([rank, width]) =>
  [true, false].flatMap((columns) =>
    [true, false].map((trained): Case => ({
      name: `orthogonality ${rank}x${width}${columns ? " columns" : ""}${trained ? "" : ", norm alone"}`,
      entry: "orthogonality",
      run({ backend, input, inOut }) {
        const factor = input(
          "master",
          wave(rank * width, 1).map((x) => x * 0.3),
        );
        const grad = trained ? inOut("grad", "master", wave(rank * width, 2)) : undefined;
        const weights = { weight: 0.25, gradWeight: 0.4 };
        const norm = inOut("norm", "master", [0.5]);
        backend.orthogonality([{ factor, grad, rank, width, columns }], norm, weights);
      },
    })),
  ),
);

const orthonormal: Case = {
  name: "orthogonality of orthonormal rows adds nothing",
  entry: "orthogonality",
  run({ backend, input, inOut }) {
    const factor = input("master", [0, 1, 0, -1, 0, 0]);
    const grad = inOut("grad", "master", wave(6, 2));
    const norm = inOut("norm", "master", [0.5]);
    const weights = { weight: 1, gradWeight: 1 };
    backend.orthogonality([{ factor, grad, rank: 2, width: 3, columns: false }], norm, weights);
  },
};

const manyFactors: Case = {
  name: "orthogonality of many factors",
  entry: "orthogonality",
  run({ backend, input, inOut }) {
    const factors = SIZES.map(({ rank, width }, i) => ({
      factor: input(
        "master",
        wave(rank * width, i).map((x) => x * 0.2),
      ),
      grad: i % 5 === 4 ? undefined : inOut(`grad ${i}`, "master", wave(rank * width, i + 1)),
      rank,
      width,
      columns: i % 2 === 1,
    }));
    const norm = inOut("norm", "master", [0.5]);
    backend.orthogonality(factors, norm, { weight: 1 / SIZES.length, gradWeight: 0.4 });
  },
};

/** Losses, the optimizer and AdaLoRA's budget allocation. */
export const trainingCases: readonly Case[] = [
  ...losses,
  ...spans,
  ...norms,
  nanNorm,
  ...updates,
  ...triplets,
  manyTriplets,
  ...tops,
  ...topsByCost,
  madeNan,
  ...masks,
  manyMasks,
  ...orthogonality,
  orthonormal,
  manyFactors,
];
