import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../io/json-file.ts";
import { type JsonPath, lineOf } from "./json-line.ts";
import { typeOf } from "./json-table.ts";
import type { RawQuestion } from "./squad-raw.ts";
import { quoted } from "./table.ts";

/**
 * The questions in SQuAD's nested JSON, versions 1.1 and 2.0: data[].paragraphs[].{context, qas[]}.
 * Articles that are questions themselves, as in the hub's exports, are accepted too. `text` is the
 * source of `root`, used to find line numbers. Throws E_FILE on any other layout.
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
        cells: () => ({ ...question, context }),
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
    cells: () => object,
    location: (...part) => location([...at, ...part]),
  };
}

function partsOf({ id, question, answers, is_impossible: isImpossible }: JsonObject) {
  // RawQuestion uses null for a file without ids; in this layout ids are required
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
