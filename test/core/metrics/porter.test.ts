import { expect, test } from "bun:test";
import { porterStem } from "../../../core/metrics/porter.ts";

// What nltk's PorterStemmer gives: words of every step, and of every deviation from the paper.
const table = `
  a:a is:is skies:sky dying:die innings:inning succeed:succeed
  caresses:caress ponies:poni ties:tie dies:die flies:fli caress:caress
  feed:feed agreed:agre plastered:plaster bled:bled motoring:motor sing:sing
  conflated:conflat troubled:troubl sized:size hopping:hop falling:fall hissing:hiss
  fizzed:fizz failing:fail filing:file died:die spied:spi oed:o
  eed:eed ing:ing happy:happi enjoy:enjoy say:say by:by
  fly:fli yy:yy relational:relat conditional:condit rational:ration valenci:valenc
  radicalli:radic conformabli:conform hopefulli:hope geologi:geolog vietnamization:vietnam callousness:callous
  sensibiliti:sensibl triplicate:triplic formative:form electrical:electr goodness:good revival:reviv
  replacement:replac adoption:adopt union:union effective:effect probate:probat rate:rate
  cease:ceas controll:control roll:roll 1990s:1990 3rd:3rd 2ing:2ing
`;

for (const pair of table.trim().split(/\s+/)) {
  test(pair, () => {
    const [word = "", stem = ""] = pair.split(":");
    expect(porterStem(word)).toBe(stem);
  });
}
