/**
 * The stem of a lower-case word: Porter's stemmer (1980) with NLTK's default extensions, as in
 * `rouge_score`.
 */
export function porterStem(word: string): string {
  const irregular = irregulars.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  return steps.reduce((stem, step) => step(stem), word);
}

// --- internal ---

const irregulars: ReadonlyMap<string, string> = new Map(
  Object.entries({
    sky: ["sky", "skies"],
    die: ["dying"],
    lie: ["lying"],
    tie: ["tying"],
    news: ["news"],
    inning: ["innings", "inning"],
    outing: ["outings", "outing"],
    canning: ["cannings", "canning"],
    howe: ["howe"],
    proceed: ["proceed"],
    exceed: ["exceed"],
    succeed: ["succeed"],
  }).flatMap(([stem, words]) => words.map((word) => [word, stem] as const)),
);

/** An ending, its replacement, and a condition on the stem before it. */
type Rule = readonly [ending: string, replacement: string, isFit?: (stem: string) => boolean];

/**
 * Applies the first rule whose ending matches; later rules are not tried even if its condition
 * fails.
 */
function applyFirst(word: string, rules: readonly Rule[]): string {
  for (const [ending, replacement, isFit = always] of rules) {
    if (!word.endsWith(ending)) continue;
    const stem = word.slice(0, word.length - ending.length);
    return isFit(stem) ? stem + replacement : word;
  }
  return word;
}

const always = () => true;

function isConsonant(word: string, i: number): boolean {
  const char = word[i];
  if (char === "y") return i === 0 || !isConsonant(word, i - 1);
  return char === undefined || !"aeiou".includes(char);
}

/** m of [C](VC)^m[V]: how many times a consonant follows a vowel. */
function measure(stem: string): number {
  let count = 0;
  let wasConsonant = true;
  for (let i = 0; i < stem.length; i++) {
    // isConsonant for a whole word in one pass: a y is a consonant unless one stands before it
    const isOne: boolean = stem[i] === "y" ? i === 0 || !wasConsonant : !"aeiou".includes(stem[i]!);
    if (isOne && !wasConsonant) count++;
    wasConsonant = isOne;
  }
  return count;
}

const isMeasured = (stem: string) => measure(stem) > 0;
const isLong = (stem: string) => measure(stem) > 1;

function hasVowel(stem: string): boolean {
  for (let i = 0; i < stem.length; i++) if (!isConsonant(stem, i)) return true;
  return false;
}

function endsDoubled(word: string): boolean {
  const last = word.length - 1;
  return last > 0 && word[last] === word[last - 1] && isConsonant(word, last);
}

/**
 * Ends in consonant, vowel, consonant other than w, x, y; NLTK: also a word of one vowel and one
 * consonant.
 */
function endsShort(word: string): boolean {
  const last = word.length - 1;
  if (last === 1) return !isConsonant(word, 0) && isConsonant(word, 1);
  return (
    last > 1 &&
    isConsonant(word, last - 2) &&
    !isConsonant(word, last - 1) &&
    isConsonant(word, last) &&
    !"wxy".includes(word[last]!)
  );
}

function plurals(word: string): string {
  // NLTK: "dies" gives "die", as "flies" gives "fli"
  if (word.length === 4 && word.endsWith("ies")) return `${word.slice(0, 1)}ie`;
  return applyFirst(word, [
    ["sses", "ss"],
    ["ies", "i"],
    ["ss", "ss"],
    ["s", ""],
  ]);
}

function pastAndGerund(word: string): string {
  // NLTK: "died" gives "die", "spied" gives "spi"
  if (word.endsWith("ied")) return word.slice(0, -3) + (word.length === 4 ? "ie" : "i");
  if (word.endsWith("eed")) return applyFirst(word, [["eed", "ee", isMeasured]]);
  const ending = ["ed", "ing"].find((one) => word.endsWith(one));
  if (ending === undefined) return word;
  const stem = word.slice(0, word.length - ending.length);
  return hasVowel(stem) ? repaired(stem) : word;
}

/** Restores a final e that the ending removed, or removes a doubled letter. */
function repaired(stem: string): string {
  if (["at", "bl", "iz"].some((end) => stem.endsWith(end))) return `${stem}e`;
  if (endsDoubled(stem)) return "lsz".includes(stem.at(-1) ?? "") ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

/**
 * NLTK: only after a consonant that is not the first letter, so that "say" and "enjoy" keep their
 * y.
 */
function finalY(word: string): string {
  return applyFirst(word, [
    ["y", "i", (stem) => stem.length > 1 && isConsonant(stem, stem.length - 1)],
  ]);
}

function doubleSuffixes(word: string): string {
  // NLTK: "alli" becomes "al" first, and the step runs again on the result.
  if (word.endsWith("alli") && isMeasured(word.slice(0, -4))) {
    return doubleSuffixes(`${word.slice(0, -4)}al`);
  }
  return applyFirst(word, [
    ["ational", "ate", isMeasured],
    ["tional", "tion", isMeasured],
    ["enci", "ence", isMeasured],
    ["anci", "ance", isMeasured],
    ["izer", "ize", isMeasured],
    ["bli", "ble", isMeasured],
    ["alli", "al", isMeasured],
    ["entli", "ent", isMeasured],
    ["eli", "e", isMeasured],
    ["ousli", "ous", isMeasured],
    ["ization", "ize", isMeasured],
    ["ation", "ate", isMeasured],
    ["ator", "ate", isMeasured],
    ["alism", "al", isMeasured],
    ["iveness", "ive", isMeasured],
    ["fulness", "ful", isMeasured],
    ["ousness", "ous", isMeasured],
    ["aliti", "al", isMeasured],
    ["iviti", "ive", isMeasured],
    ["biliti", "ble", isMeasured],
    ["fulli", "ful", isMeasured],
    // NLTK measures the stem including its l.
    ["logi", "log", (stem) => isMeasured(`${stem}l`)],
  ]);
}

function adjectiveSuffixes(word: string): string {
  return applyFirst(word, [
    ["icate", "ic", isMeasured],
    ["ative", "", isMeasured],
    ["alize", "al", isMeasured],
    ["iciti", "ic", isMeasured],
    ["ical", "ic", isMeasured],
    ["ful", "", isMeasured],
    ["ness", "", isMeasured],
  ]);
}

function longSuffixes(word: string): string {
  return applyFirst(word, [
    ["al", "", isLong],
    ["ance", "", isLong],
    ["ence", "", isLong],
    ["er", "", isLong],
    ["ic", "", isLong],
    ["able", "", isLong],
    ["ible", "", isLong],
    ["ant", "", isLong],
    ["ement", "", isLong],
    ["ment", "", isLong],
    ["ent", "", isLong],
    ["ion", "", (stem) => isLong(stem) && /[st]$/.test(stem)],
    ["ou", "", isLong],
    ["ism", "", isLong],
    ["ate", "", isLong],
    ["iti", "", isLong],
    ["ous", "", isLong],
    ["ive", "", isLong],
    ["ize", "", isLong],
  ]);
}

function finalE(word: string): string {
  return applyFirst(word, [
    ["e", "", (stem) => isLong(stem) || (measure(stem) === 1 && !endsShort(stem))],
  ]);
}

function finalLl(word: string): string {
  return word.endsWith("ll") && isLong(word.slice(0, -1)) ? word.slice(0, -1) : word;
}

/** Steps 1a to 5b of the paper. */
const steps = [
  plurals,
  pastAndGerund,
  finalY,
  doubleSuffixes,
  adjectiveSuffixes,
  longSuffixes,
  finalE,
  finalLl,
];
