import type { ActivationKind, Dropout } from "../../core/kernels/elementwise.ts";
import type {
  LinearBackward,
  LinearForward,
  LinearIncrement,
  LinearIncrementBackward,
} from "../../core/kernels/linears.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";

/** An adapter of outputs `start` to `start + cols`; default: of all. */
interface IncrementSpec {
  readonly rank: number;
  readonly start?: number;
  readonly cols?: number;
  /** LoRA's have no E. */
  readonly e?: false;
  readonly dropout?: Dropout;
}

interface MemberSpec {
  readonly outputs: number;
  readonly bias?: true;
  /** A trained weight has master values and a gradient. */
  readonly trained?: true;
  /** A trained bias beside a frozen weight, as BitFit and PEFT's `bias` have it. */
  readonly trainedBias?: true;
  readonly activation?: ActivationKind;
  readonly increments?: readonly IncrementSpec[];
  /** y is z, and dz is dy. */
  readonly inPlace?: true;
}

interface GroupSpec {
  readonly name: string;
  readonly rows: number;
  readonly inputs: number;
  readonly members: readonly MemberSpec[];
}

const dropout: Dropout = { probability: 0.3, seed: [5, 6], step: 2, site: 3 };
const attention = (outputs: number): readonly MemberSpec[] => [
  { outputs, bias: true, increments: [{ rank: 12 }] },
  { outputs, bias: true, increments: [{ rank: 5, e: false }] },
  { outputs, increments: [{ rank: 1 }] },
];

const groups: readonly GroupSpec[] = [
  { name: "one frozen", rows: 9, inputs: 33, members: [{ outputs: 31, bias: true }] },
  { name: "one of one value", rows: 1, inputs: 1, members: attention(1).slice(0, 1) },
  {
    name: "one trained, activated",
    rows: 17,
    inputs: 32,
    members: [{ outputs: 5, bias: true, trained: true, activation: "tanh" }],
  },
  {
    name: "one trained without bias, activated in place",
    rows: 7,
    inputs: 15,
    members: [{ outputs: 16, trained: true, activation: "gelu", inPlace: true }],
  },
  {
    name: "one with a trained bias",
    rows: 19,
    inputs: 24,
    members: [{ outputs: 33, bias: true, trainedBias: true }],
  },
  {
    name: "two with trained biases, adapted, one activated",
    rows: 33,
    inputs: 40,
    members: [
      { outputs: 31, bias: true, trainedBias: true, activation: "gelu", increments: [{ rank: 6 }] },
      { outputs: 16, bias: true, trainedBias: true, increments: [{ rank: 3, e: false, dropout }] },
    ],
  },
  {
    name: "one adapted, activated",
    rows: 37,
    inputs: 40,
    members: [{ outputs: 48, bias: true, activation: "gelu", increments: [{ rank: 12 }] }],
  },
  { name: "query, key, value", rows: 33, inputs: 32, members: attention(32) },
  { name: "query, key, value, many rows", rows: 130, inputs: 24, members: attention(40) },
  {
    name: "of different widths, one not adapted, dropout",
    rows: 20,
    inputs: 31,
    members: [
      { outputs: 33, bias: true, increments: [{ rank: 6, dropout }] },
      { outputs: 16, bias: true },
      { outputs: 32, increments: [{ rank: 3, e: false, dropout: { ...dropout, site: 4 } }] },
    ],
  },
  {
    name: "a fused layer with two of three parts adapted, activated",
    rows: 9,
    inputs: 32,
    members: [
      {
        outputs: 99,
        bias: true,
        activation: "silu",
        increments: [
          { rank: 6, cols: 33, dropout },
          { rank: 12, start: 66, cols: 33, dropout },
        ],
      },
    ],
  },
  { name: "with nothing left of an adapter", rows: 5, inputs: 8, members: attention(0) },
  {
    name: "with a rank of 0",
    rows: 5,
    inputs: 8,
    members: [{ outputs: 6, bias: true, increments: [{ rank: 0 }] }],
  },
  { name: "without rows", rows: 0, inputs: 8, members: attention(6) },
];

/** E with every third triplet pruned. */
const someE = (rank: number) => ripple(rank, 7).map((x, i) => (i % 3 === 1 ? 0 : x));

/**
 * Positive values, so that sums do not cancel, where rounding to bf16 would be all that is left.
 */
const ripple = (length: number, phase: number) => wave(length, phase).map((x) => 0.5 + 0.4 * x);

/** The same divided by the length of sums over them. */
const shares = (length: number, phase: number, sums: number) =>
  ripple(length, phase).map((x) => x / sums);

function incrementOf(
  { input }: Bench,
  { inputs }: GroupSpec,
  { outputs }: MemberSpec,
  { rank, start = 0, cols = outputs, e, dropout: p }: IncrementSpec,
): Omit<LinearIncrement, "h"> {
  return {
    a: input("master", shares(rank * inputs, 3, inputs)),
    e: e === false ? undefined : input("master", someE(rank)),
    b: input("master", ripple(cols * rank, 4)),
    scale: 0.75,
    rank,
    dropout: p,
    start,
    cols,
  };
}

const weightOf = ({ input }: Bench, { inputs }: GroupSpec, { outputs, trained }: MemberSpec) =>
  input(trained ? "master" : "activation", shares(outputs * inputs, 2, inputs));

function forward(bench: Bench, group: GroupSpec): void {
  const { backend, input, output } = bench;
  const { rows, inputs, members } = group;
  const x = input("activation", ripple(rows * inputs, 1));
  const calls = members.map((member, i): LinearForward => {
    const { outputs, bias, activation, increments = [], inPlace } = member;
    const z = output(`z ${i}`, "activation", rows * outputs);
    const separate = activation !== undefined && !inPlace;
    return {
      weight: weightOf(bench, group, member),
      bias: bias && input("master", ripple(outputs, 5)),
      outputs,
      increments: increments.map((spec, j) => ({
        ...incrementOf(bench, group, member, spec),
        h: output(`h ${i}.${j}`, "master", rows * spec.rank),
      })),
      activation,
      z,
      y: separate ? output(`y ${i}`, "activation", rows * outputs) : z,
    };
  });
  backend.linears(x, calls, { rows, inputs });
}

/** Which gradients are needed. */
interface Needed {
  readonly parameters: boolean;
  readonly dx: "set" | "added" | "none";
}

function backward(bench: Bench, group: GroupSpec, { parameters, dx }: Needed): void {
  const { backend, input, inOut, output } = bench;
  const { rows, inputs, members } = group;
  const reads = parameters && members.some(({ trained, increments }) => trained || increments);
  const x = reads ? input("activation", ripple(rows * inputs, 1)) : undefined;
  const calls = members.map((member, i): LinearBackward => {
    const { outputs, bias, trained, activation, increments = [], inPlace } = member;
    const hasTrainedBias = bias && (trained ?? member.trainedBias);
    const gradient = ripple(rows * outputs, 6 + i);
    const own = activation !== undefined && !inPlace;
    const changed = activation !== undefined && inPlace;
    const dy = changed ? inOut(`dz ${i}`, "activation", gradient) : input("activation", gradient);
    const sum = (name: string, length: number) =>
      parameters ? inOut(`${name} ${i}`, "master", ripple(length, 9)) : undefined;
    return {
      weight: weightOf(bench, group, member),
      outputs,
      increments: increments.map((spec, j): LinearIncrementBackward => {
        const increment = incrementOf(bench, group, member, spec);
        const { rank, cols, e } = increment;
        return {
          ...increment,
          h: input("master", ripple(rows * rank, 8)),
          da: sum(`da ${j} of`, rank * inputs),
          de: e && sum(`de ${j} of`, rank),
          db: sum(`db ${j} of`, cols * rank),
        };
      }),
      activation,
      z: activation && input("activation", ripple(rows * outputs, 11)),
      dy,
      dz: own ? output(`dz ${i}`, "activation", rows * outputs) : dy,
      dweight: trained && sum("dweight", outputs * inputs),
      dbias: hasTrainedBias && sum("dbias", outputs),
    };
  });
  const target = {
    set: () => ({ buffer: output("dx", "activation", rows * inputs), beta: 0 }) as const,
    added: () =>
      ({ buffer: inOut("dx", "activation", ripple(rows * inputs, 12)), beta: 1 }) as const,
    none: () => undefined,
  }[dx]();
  backend.linearsBackward(x, calls, target, { rows, inputs });
}

const ALL: readonly (readonly [note: string, needed: Needed])[] = [
  ["", { parameters: true, dx: "set" }],
  [", without dx", { parameters: true, dx: "none" }],
  [", dx alone, added to", { parameters: false, dx: "added" }],
];

/** Groups of linear layers that share an input. */
export const linearsCases: readonly Case[] = groups.flatMap((group): Case[] => [
  { name: `linears, ${group.name}`, entry: "linears", run: (bench) => forward(bench, group) },
  ...ALL.map(([note, needed]): Case => ({
    name: `linearsBackward, ${group.name}${note}`,
    entry: "linearsBackward",
    run: (bench) => backward(bench, group, needed),
  })),
]);
