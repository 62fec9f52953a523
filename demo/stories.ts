import type { RandomInt } from "../core/data/shuffle.ts";
import { chance, oneOf, someOf } from "./choose.ts";
import { adjectives, animals, type Verb, verbs } from "./words.ts";

/** Something that happened: the agent did it to the patient. */
export interface StoryEvent {
  readonly agent: string;
  readonly verb: Verb;
  readonly patient: string;
}

/** One or two events, each with its own animals, and the sentence that tells them. */
export interface Story {
  readonly events: readonly StoryEvent[];
  /** The adjectives of some of the animals, by animal. */
  readonly traits: ReadonlyMap<string, string>;
  readonly text: string;
}

/** How a clause is worded; `traits`: adjectives by animal. */
export interface Wording {
  readonly passive: boolean;
  readonly negated: boolean;
  readonly traits?: ReadonlyMap<string, string>;
}

/**
 * Draws a story with random voices and adjectives: "the old cat chased the dog and the fox was
 * bitten by the hen".
 */
export function drawStory(draw: RandomInt, clauses: 1 | 2): Story {
  const cast = someOf(animals, 2 * clauses, draw);
  const likes = someOf(adjectives, cast.length, draw);
  const traits = new Map(
    cast.flatMap((animal, i) => (chance(50, draw) ? [[animal, likes[i] ?? ""]] : [])),
  );
  const events = someOf(verbs, clauses, draw).map((verb, i) => {
    const [agent = "", patient = ""] = cast.slice(2 * i);
    return { agent, verb, patient };
  });
  const sentences = events.map((event) =>
    sentence(event, { passive: chance(50, draw), negated: false, traits }),
  );
  return { events, traits, text: sentences.join(" and ") };
}

/** An event as a clause: "the dog was not chased by the old cat". */
export function sentence(
  { agent, verb, patient }: StoryEvent,
  { passive, negated, traits }: Wording,
): string {
  const named = (animal: string) => ["the", traits?.get(animal) ?? [], animal].flat().join(" ");
  if (passive) {
    return `${named(patient)} was ${negated ? "not " : ""}${verb.participle} by ${named(agent)}`;
  }
  return `${named(agent)} ${negated ? `did not ${verb.base}` : verb.past} ${named(patient)}`;
}

/**
 * Draws an event that did not happen, from the story's own words, so that the words alone don't
 * give it away: half the time an event's roles are swapped, else an animal of another event
 * replaces one of its own.
 */
export function drawFalseEvent({ events }: Story, draw: RandomInt): StoryEvent {
  const base = oneOf(events, draw);
  const others = events.filter((event) => event !== base);
  if (others.length === 0 || chance(50, draw)) {
    return { ...base, agent: base.patient, patient: base.agent };
  }
  const { agent, patient } = oneOf(others, draw);
  return { ...base, ...oneOf([{ agent }, { patient }], draw) };
}
