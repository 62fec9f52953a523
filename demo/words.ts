/** A verb in the three forms that the sentences need. */
export interface Verb {
  /** "did not bite" */
  readonly base: string;
  /** "bit" */
  readonly past: string;
  /** "was bitten by" */
  readonly participle: string;
}

/** Agents and patients of the stories. */
export const animals =
  "bear cat cow deer dog donkey duck fox frog goat goose hen horse lion mouse owl pig rabbit sheep wolf".split(
    " ",
  );

/** Traits of the animals. */
export const adjectives = "big black brown grey lazy old quick small white young".split(" ");

/** What the animals do to each other. */
export const verbs: readonly Verb[] = [
  "bite bit bitten",
  "catch caught caught",
  "chase chased chased",
  "feed fed fed",
  "find found found",
  "follow followed followed",
  "greet greeted greeted",
  "hear heard heard",
  "help helped helped",
  "push pushed pushed",
  "see saw seen",
  "wake woke woken",
].map((forms) => {
  const [base = "", past = "", participle = ""] = forms.split(" ");
  return { base, past, participle };
});

const functionWords = "? and by did do is it like not that the to true was what who".split(" ");

/** Every word of the stories and questions, in the vocabulary's order. */
export const words: readonly string[] = [
  ...new Set([
    ...functionWords,
    ...animals,
    ...adjectives,
    ...verbs.flatMap(({ base, past, participle }) => [base, past, participle]),
  ]),
];
