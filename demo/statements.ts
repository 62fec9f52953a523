import type { RandomInt } from "../core/data/shuffle.ts";
import { chance, oneOf } from "./choose.ts";
import type { Row } from "./rows.ts";
import { drawFalseEvent, drawStory, sentence } from "./stories.ts";

/** Percentage of negated statements. */
const negations = 25;

/**
 * Draws a row of the demo's task: does the story make the statement true? True and false are
 * equally frequent in every wording: active or passive, negated or not. A statement uses only words
 * of its story, so that the answer depends on who did what to whom.
 */
export function drawStatement(draw: RandomInt): Row {
  const story = drawStory(draw, 2);
  const isTrue = chance(50, draw);
  const passive = chance(50, draw);
  const negated = chance(negations, draw);
  const about = isTrue === negated ? drawFalseEvent(story, draw) : oneOf(story.events, draw);
  return {
    story: story.text,
    sentence: sentence(about, { passive, negated }),
    label: isTrue ? "true" : "false",
  };
}
