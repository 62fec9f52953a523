import type { RandomInt } from "../core/data/shuffle.ts";
import { chance, oneOf, someOf } from "./choose.ts";
import { adjectives, animals, type Verb, verbs } from "./words.ts";

/** Something that happened: the agent did it to the patient. */
export interface StoryEvent {
  readonly agent: string;
  readonly verb: Verb;
  readonly patient: string;
}

/** One or two happenings, each among animals of its own, and the sentence that tells of them. */
export interface Story {
  readonly events: readonly StoryEvent[];
  /** What the sentence says some of the animals are like. */
  readonly traits: ReadonlyMap<string, string>;
  readonly text: string;
}

export interface Wording {
  readonly passive: boolean;
  readonly negated: boolean;
  readonly traits?: ReadonlyMap<string, string>;
}

/** "the old cat chased the dog and the fox was bitten by the hen": voices and adjectives are drawn, too. */
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
  const told = events.map((event) =>
    sentence(event, { passive: chance(50, draw), negated: false, traits }),
  );
  return { events, traits, text: told.join(" and ") };
}

/** A happening as a clause: "the dog was not chased by the old cat". */
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
 * What did not happen, told with the story's own words alone, so that no list of words gives it away: half the time the
 * roles of a happening are swapped, else an animal of another happening stands in for one of its own.
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
