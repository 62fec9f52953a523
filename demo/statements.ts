import type { RandomInt } from "../core/data/shuffle.ts";
import { chance, oneOf } from "./choose.ts";
import type { Row } from "./rows.ts";
import { drawFalseEvent, drawStory, sentence } from "./stories.ts";

/** How many of 100 statements are negated. */
const negations = 25;

/**
 * The demo's task: does the story make the statement true? As often true as false, in every wording: active or passive,
 * negated or not. All words of a statement are the story's own, so that only who did what to whom decides.
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
