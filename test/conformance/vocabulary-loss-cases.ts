import { ignoredLabel } from "../../core/kernels/losses.ts";
import { wave } from "../helpers/wave.ts";
import type { Case } from "./cases.ts";

const SIZES = [
  [1, 1],
  [1, 2],
  [32, 3],
  [5, 33],
  [7, 1023],
  [3, 1025],
  [6, 6000],
] as const;

const labelsOf = (rows: number, classes: number) =>
  Int32Array.from({ length: rows }, (_, r) => (r % 4 === 2 ? ignoredLabel : (r * 5 + 1) % classes));

const scaled = (rows: number, classes: number) => wave(rows * classes, 1).map((x) => x * 6);

/** The vocabulary loss. */
export const vocabularyLossCases: readonly Case[] = [
  ...SIZES.flatMap(([rows, classes]) =>
    [0, 0.1].map((smoothing): Case => ({
      name: `addVocabularyLoss ${rows}x${classes}, smoothing ${smoothing}`,
      entry: "addVocabularyLoss",
      run({ backend, input, output, inOut }) {
        const labels = input("i32", labelsOf(rows, classes));
        const logits = input("master", scaled(rows, classes));
        const bias = input("master", wave(classes, 2));
        const shape = { rows, classes, smoothing, weight: 0.3 };
        const loss = (name: string) => inOut(name, "master", [0.7]);
        const dlogits = output("dlogits", "activation", rows * classes);
        backend.addVocabularyLoss(logits, bias, labels, loss("loss"), dlogits, shape);
        backend.addVocabularyLoss(logits, bias, labels, loss("loss alone"), undefined, shape);
        const same = inOut("logits in place", "master", scaled(rows, classes));
        backend.addVocabularyLoss(same, bias, labels, loss("loss in place"), same, shape);
      },
    })),
  ),
  {
    name: "addVocabularyLoss of rows that are all left out adds nothing",
    entry: "addVocabularyLoss",
    run({ backend, input, output, inOut }) {
      const labels = input("i32", [ignoredLabel, ignoredLabel]);
      const logits = input("master", [1, 2, Number.NaN, Infinity]);
      const shape = { rows: 2, classes: 2, smoothing: 0.1, weight: 1 };
      const dlogits = output("dlogits", "activation", 4);
      const loss = inOut("loss", "master", [0.7]);
      backend.addVocabularyLoss(logits, input("master", [0, 0]), labels, loss, dlogits, shape);
    },
  },
  {
    name: "addVocabularyLoss of a sure row, right and wrong, keeps a small gradient",
    entry: "addVocabularyLoss",
    run({ backend, input, output, inOut }) {
      const logits = input("master", [20, 0, 1, 0, 0, 30, 0, 0, 0]);
      const dlogits = output("dlogits", "activation", 9);
      const [bias, labels] = [input("master", [0, 0, 0]), input("i32", [0, 2, 1])];
      const shape = { rows: 3, classes: 3, smoothing: 0, weight: 1 / 3 };
      const loss = inOut("loss", "master", [0]);
      backend.addVocabularyLoss(logits, bias, labels, loss, dlogits, shape);
      // The first row needs its own scale: its gradients are around 1e-9.
      const sure = output("dlogits of the sure row", "activation", 3);
      backend.scale(backend.view(dlogits, 0, 3), 1, sure);
    },
  },
];
