import { invariant } from "../../core/errors.ts";
import { TOKENIZERS } from "../../ffi/tokenizers.ts";
import type { Part } from "./contents.ts";
import list from "./tokenizers-crates.json" with { type: "json" };

/**
 * Lists what was linked into the library of the npm package "tokenizers", which comes without a lock
 * file: Rust crates, Oniguruma's C code and Rust's standard library with its own crates.
 *
 * To renew the list for another version: resolve the dependencies of the library's Cargo.toml as of
 * the day when the crate "tokenizers" of that version was published (`cargo update --precise`), take
 * what `cargo tree -e normal,no-proc-macro` names for x86_64-unknown-linux-gnu, and the licence text
 * of each, MIT's where there is a choice. The library's own strings name the versions of those that
 * can panic; the test compares them. Throws for a version without a list.
 */
export function cratesOfTokenizers(version: string): readonly Part[] {
  invariant(
    version === list.tokenizers,
    () => `tokenizers-crates.json lists ${list.tokenizers}, not ${version}: see crates.ts`,
  );
  return list.crates.map(({ name, text, ...crate }) => {
    const licenceText = list.texts[text];
    invariant(licenceText !== undefined, () => `${name} has a licence text`);
    return { ...crate, name: `${TOKENIZERS}/${name}`, licenceText };
  });
}
