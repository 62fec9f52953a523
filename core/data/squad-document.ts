import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../io/json-file.ts";
import { type JsonPath, lineOf } from "./json-line.ts";
import { typeOf } from "./json-table.ts";
import type { RawQuestion } from "./squad-raw.ts";
import { quoted } from "./table.ts";

/**
 * The questions of SQuAD's nested JSON, versions 1.1 and 2.0: data[].paragraphs[].{context, qas[]}. Articles that are
 * questions themselves, as the hub's exports have them, are taken too. `text` is what `root` was parsed from: it gives
 * the lines. Throws E_FILE where the layout is another.
 */
export function* documentQuestions(
  root: JsonObject,
  text: string,
  name: string,
): Generator<RawQuestion> {
  const location: LocationOf = (path) => `${name}:${lineOf(text, path)}`;
  if (!Object.hasOwn(root, "data")) {
    throw errors.file(
      location([]),
      `the file has no top-level "data": got ${quoted(Object.keys(root))}`,
      'SQuAD\'s layout is {"data": [{"paragraphs": [{"context": "…", "qas": […]}]}]}; without it, questions are JSON lines with "id", "question", "context" and "answers"',
    );
  }
  for (const [article, at] of objectsIn(root, "data", [], location)) {
    if (Object.hasOwn(article, "question")) yield flatQuestion(article, at, location);
    else yield* articleQuestions(article, at, location);
  }
}

type LocationOf = (path: JsonPath) => string;

const keys = { question: "question", context: "context", answers: "answers" };

function* articleQuestions(
  article: JsonObject,
  at: JsonPath,
  location: LocationOf,
): Generator<RawQuestion> {
  for (const [paragraph, above] of objectsIn(article, "paragraphs", at, location)) {
    const { context } = paragraph;
    for (const [question, path] of objectsIn(paragraph, "qas", above, location)) {
      yield {
        ...partsOf(question),
        context,
        location: (...part) =>
          location(part[0] === "context" ? [...above, ...part] : [...path, ...part]),
      };
    }
  }
}

function flatQuestion(object: JsonObject, at: JsonPath, location: LocationOf): RawQuestion {
  return {
    ...partsOf(object),
    context: object["context"],
    location: (...part) => location([...at, ...part]),
  };
}

function partsOf({ id, question, answers, is_impossible: isImpossible }: JsonObject) {
  // null marks questions without ids: here every question needs one
  return { id: id === null ? undefined : id, question, answers, isImpossible, keys };
}

function* objectsIn(
  parent: JsonObject,
  key: string,
  at: JsonPath,
  location: LocationOf,
): Generator<[object: JsonObject, path: JsonPath]> {
  const list = parent[key];
  const path = [...at, key];
  if (list === undefined) throw errors.file(location(at), `the object lacks "${key}"`);
  if (!Array.isArray(list)) {
    throw errors.file(location(path), `"${key}" is ${typeOf(list)}, not a list`);
  }
  for (const [i, item] of list.entries()) {
    const where = [...path, i];
    if (!isJsonObject(item)) {
      throw errors.file(location(where), `"${key}" holds ${typeOf(item)}, not an object`);
    }
    yield [item, where];
  }
}
