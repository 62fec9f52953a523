import { expect, test } from "bun:test";
import { cleanUpSpaces } from "../../../core/text/clean-up-spaces.ts";

test.each([
  ["Hello , world . I do n't know !", "Hello, world. I don't know!"],
  ["we 've , they 're . I 'm ' s", "we've, they're. I'm's"],
  ["It 's a test ? yes", "It's a test? yes"],
  ["two  spaces (a) : b", "two  spaces (a) : b"],
])("%p becomes %p", (text, clean) => {
  expect(cleanUpSpaces(text)).toBe(clean);
});
