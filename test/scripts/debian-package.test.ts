import { expect, test } from "bun:test";
import { archiveMember } from "../../scripts/setup/gcc-runtime.ts";

const member = (name: string, content: string) =>
  `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}` +
  `${String(content.length).padEnd(10)}\`\n${content}${content.length % 2 === 0 ? "" : "\n"}`;

test("a member of a Debian package is found behind members of odd sizes", () => {
  const text = `!<arch>\n${member("debian-binary", "2.0\n.")}${member("data.tar.xz/", "content")}`;
  const archive = Buffer.from(text, "latin1");
  expect(Buffer.from(archiveMember(archive, "data.tar.xz")).toString()).toBe("content");
  expect(() => archiveMember(archive, "control.tar.xz")).toThrow("has no control.tar.xz");
});
