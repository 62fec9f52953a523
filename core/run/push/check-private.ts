import { errors } from "../../errors.ts";
import { cutText } from "../../excerpt.ts";
import type { FileToPush } from "../../io/hub-writer.ts";
import { findPrivate, type Private } from "../../io/private-text.ts";

/**
 * Throws E_FILE for a file that holds a token, a local path or this machine's name. Of weights
 * only the first MiB is read, where safetensors keeps names and metadata.
 */
export async function checkPrivate(
  dir: string,
  files: readonly FileToPush[],
  secrets: Private,
): Promise<void> {
  for (const { path, content } of files) {
    const part = WEIGHTS.test(path) ? content.slice(0, 2 ** 20) : content;
    const text = Buffer.from(await part.arrayBuffer()).toString("latin1");
    const found = findPrivate(text, latin1(secrets), VOCABULARY.test(path) || WEIGHTS.test(path));
    if (found === undefined) continue;
    const shown = found.text === undefined ? "" : `: ${cutText(utf8(found.text))}`;
    const hint =
      path === "README.md"
        ? "edit it, or delete it: an adapter without a card gets a new one"
        : "take it out of the file; nothing was sent";
    throw errors.file(`${dir}/${path}`, `holds ${found.what}${shown}`, hint);
  }
}

// --- internal ---

const utf8 = (text: string) => Buffer.from(text, "latin1").toString();

const WEIGHTS = /\.(safetensors|bin)$/;
const VOCABULARY = /^(tokenizer\.json|vocab\..+|merges\.txt|added_tokens\.json|.+\.model)$/;

/** The texts' UTF-8 bytes read as latin1, in which files are searched. */
function latin1({ token, folders, host }: Private): Private {
  const encoded = (text: string) => Buffer.from(text).toString("latin1");
  return {
    token: token === undefined ? undefined : encoded(token),
    folders: folders.map(encoded),
    host: encoded(host),
  };
}
