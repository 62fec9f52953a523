import { describe, expect, test } from "bun:test";
import { homeFolder, userCaches } from "../../../core/io/user-cache.ts";

describe("the user's caches", () => {
  const cases: [env: Record<string, string>, registered: string | undefined, caches: string[]][] = [
    [{ XDG_CACHE_HOME: "/c", HOME: "/h" }, "/r", ["/c", "/h/.cache"]],
    [{ XDG_CACHE_HOME: "c", HOME: "/h" }, "/r", ["/h/.cache"]], // not absolute: ignored
    [{ HOME: "h" }, "/r", []],
    [{}, "/r", ["/r/.cache"]],
    [{ HOME: "" }, "/r", ["/r/.cache"]],
    [{ XDG_CACHE_HOME: "/c" }, undefined, ["/c"]],
    [{}, undefined, []],
  ];
  test.each(cases)("%j with %p in the user database: %j", (env, registered, caches) => {
    expect(userCaches(env, () => registered)).toEqual(caches);
  });

  test("a user without a home has none", () => {
    expect(homeFolder({}, () => undefined)).toBeUndefined();
  });
});

test("a process without HOME and without an entry in the user database has no home", () => {
  if (process.getuid?.() !== 0) return; // only root can change its user id
  const code = `import { userCaches } from "${import.meta.dir}/../../../core/io/user-cache.ts";
    process.setuid(1234567); console.log(JSON.stringify(userCaches()));`;
  const run = Bun.spawnSync([process.execPath, "-e", code], { env: {} });
  expect(run.stdout.toString()).toBe("[]\n");
});
