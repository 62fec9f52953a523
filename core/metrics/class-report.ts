import { checkSameLength, type Values } from "./classification.ts";

/** Precision, recall and F1 of one class, as scikit-learn's `classification_report`. */
export interface ClassScores {
  readonly label: string;
  /** 0 if the class is never predicted. */
  readonly precision: number;
  /** 0 if no example is of the class. */
  readonly recall: number;
  /** 0 if the class is neither predicted nor a label. */
  readonly f1: number;
  /** Examples of the class. */
  readonly support: number;
}

/** The scores of every class, and which classes are confused. */
export interface ClassReport {
  readonly classes: readonly ClassScores[];
  /** Examples by label (rows) and prediction (columns). */
  readonly confusion: readonly (readonly number[])[];
}

/** Compares class indices, predicted and labelled; names: one per class. */
export function classReport(
  predictions: Values,
  labels: Values,
  names: readonly string[],
): ClassReport {
  checkSameLength("classes", predictions, labels);
  const confusion = names.map(() => names.map(() => 0));
  for (let i = 0; i < labels.length; i++) {
    const row = confusion[labels[i]!];
    if (row?.[predictions[i]!] !== undefined) row[predictions[i]!]!++;
  }
  const classes = names.map((label, c) => {
    const correct = confusion[c]?.[c] ?? 0;
    const support = sum(confusion[c] ?? []);
    const predicted = sum(confusion.map((row) => row[c] ?? 0));
    return {
      label,
      precision: share(correct, predicted),
      recall: share(correct, support),
      f1: share(2 * correct, predicted + support),
      support,
    };
  });
  return { classes, confusion };
}

// --- internal ---

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
