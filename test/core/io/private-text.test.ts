import { describe, expect, test } from "bun:test";
import { findPrivate, isLocalPath, type Private } from "../../../core/io/private-text.ts";

const here: Private = {
  token: "hf_abcdefgh",
  folders: ["/srv/me", "/root", "/"],
  host: "gpu-07.lab",
};
const found = (text: string, secrets = here, isVocabulary = false) =>
  findPrivate(text, secrets, isVocabulary)?.what;

describe("findPrivate", () => {
  test("finds tokens, the user's own and others, and does not return them", () => {
    expect(findPrivate("token=hf_abcdefgh", here, false)).toEqual({
      what: "an access token",
      text: undefined,
    });
    expect(found(`"hf_${"x".repeat(34)}"`)).toBe("an access token");
    expect(found("hf_transfer and hf_hub_download are names")).toBeUndefined();
  });

  test("finds this machine's folders, and the usual places of others", () => {
    expect(found('{"data":"/srv/me/glue"}')).toBe("a path of this machine");
    expect(found("in /root.")).toBe("a path of this machine");
    for (const path of ["/home/a/b", "/Users/a/b", "/tmp/x", "C:\\\\Users\\\\a", "file:///mnt/a"]) {
      expect([path, found(`base_model: ${path}`)]).toEqual([path, "a local path"]);
    }
  });

  test("takes no web address, longer name or word for a path", () => {
    for (const text of [
      "https://example.org/home/a/b",
      "https://huggingface.co/srv/me",
      "models/srv/me/x",
      "/srv/me-too",
      "and/or, /rooted, 1/2",
      "either /home or /tmp",
    ]) {
      expect([text, found(text)]).toEqual([text, undefined]);
    }
  });

  test("finds the machine's name; one that is a plain word only where a host can be", () => {
    expect(found("trained on gpu-07.lab")).toBe("this machine's name");
    expect(found("trained on gpu-07.lab-2")).toBeUndefined();
    const plain = { ...here, host: "bart" };
    expect(found('"model_type": "bart"', plain)).toBeUndefined();
    expect(found("ssh me@bart", plain)).toBe("this machine's name");
    expect(found("me@localhost", { ...here, host: "localhost" })).toBeUndefined();
  });

  test("reads a vocabulary's words as words", () => {
    expect(found('"/home/a/b": 7, "/root": 8, "gpu-07.lab": 9', here, true)).toBeUndefined();
    expect(found('"file": "/srv/me/vocab"', here, true)).toBe("a path of this machine");
    expect(found("hf_abcdefgh", here, true)).toBe("an access token");
  });
});

test("isLocalPath tells paths from names on the hub", () => {
  for (const path of ["/a", "~/a", "./a", "../a", "file:a", "C:\\a", "c:/a", "\\\\host\\a"]) {
    expect([path, isLocalPath(path)]).toEqual([path, true]);
  }
  for (const name of ["org/name", "name", "org/name@main", ""]) {
    expect([name, isLocalPath(name)]).toEqual([name, false]);
  }
});
