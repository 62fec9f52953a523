import type { RandomInt } from "../core/data/shuffle.ts";
import { chance, oneOf } from "./choose.ts";
import type { Row } from "./rows.ts";
import { drawFalseEvent, drawStory, type StoryEvent, type Story } from "./stories.ts";
import { adjectives, animals, verbs } from "./words.ts";

/** The classes of the pretraining task: every word that can be an answer. */
export const answers: readonly string[] = [
  ...animals,
  ...adjectives,
  ...verbs.map(({ base }) => base),
  "yes",
  "no",
];

/** Percentage of stories with a single event: they teach the model what the questions mean. */
const shortStories = 35;

/**
 * Draws a row of the pretraining task: a story, a question about it, and the answer as one of the
 * classes. `checks`: the percentage of yes/no questions; the others ask who, whom, what was done,
 * or what an animal is like.
 */
export function drawQuestion(draw: RandomInt, checks: number): Row {
  const story = drawStory(draw, chance(shortStories, draw) ? 1 : 2);
  const ask = chance(checks, draw) ? check : oneOf([agent, patient, action, trait], draw);
  const [sentence, label] = ask(story, oneOf(story.events, draw), draw);
  return { story: story.text, sentence, label };
}

type Ask = (
  story: Story,
  about: StoryEvent,
  draw: RandomInt,
) => readonly [question: string, answer: string];

const agent: Ask = (_, about) => [`who ${about.verb.past} the ${about.patient} ?`, about.agent];

const patient: Ask = (_, about) => [
  `who was ${about.verb.participle} by the ${about.agent} ?`,
  about.patient,
];

const action: Ask = (_, about) => [
  `what did the ${about.agent} do to the ${about.patient} ?`,
  about.verb.base,
];

/** Asks what an animal is like; in a story without traits, what one did. */
const trait: Ask = (story, about, draw) => {
  if (story.traits.size === 0) return action(story, about, draw);
  const [animal, like] = oneOf([...story.traits], draw);
  return [`what is the ${animal} like ?`, like];
};

/** A yes/no question, a negated one, or a plain statement without a question mark. */
const check: Ask = (story, about, draw) => {
  const happened = chance(50, draw);
  const { agent: a, verb, patient: p } = happened ? about : drawFalseEvent(story, draw);
  const [yes, no] = happened ? ["yes", "no"] : ["no", "yes"];
  return oneOf<readonly [string, string]>(
    [
      [`did the ${a} ${verb.base} the ${p} ?`, yes],
      [`is it true that the ${a} did not ${verb.base} the ${p} ?`, no],
      [`the ${a} ${verb.past} the ${p}`, yes],
    ],
    draw,
  );
};
