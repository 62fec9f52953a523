import { createHash } from "node:crypto";
import { join } from "node:path";
import { resolveModel } from "../../core/io/hub.ts";
import type { Target } from "./target.ts";

const COMMIT = "1".repeat(40);
const CONFIG = "{}";
const oid = createHash("sha1").update(`blob ${CONFIG.length}\0${CONFIG}`).digest("hex");
const files = ["config.json", "model.safetensors"].map((path) => {
  return { type: "file", path, size: CONFIG.length, oid };
});

let server: Bun.Server<undefined> | undefined;
let info: Uint8Array = new Uint8Array(0);
let list: Uint8Array = new Uint8Array(0);

/** A hub whose answers are those of the current case. */
function hubUrl(): string {
  server ??= Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    development: false,
    fetch({ url }) {
      if (url.includes("/revision/")) return new Response(info);
      return new Response(url.includes("/tree/") ? list : CONFIG);
    },
  });
  server.unref();
  return server.url.origin;
}

/** The hub's answers: the commit of a revision, and the list of files. */
export const hubTarget: Target = {
  name: "hub JSON",
  seeds: () => [
    {
      bytes: Buffer.from(JSON.stringify({ _id: "1", id: "a/b", sha: COMMIT })),
      kind: "json",
      name: "info",
    },
    { bytes: Buffer.from(JSON.stringify(files)), kind: "json", name: "list" },
  ],
  async read(bytes, seed, dir) {
    const [own = new Uint8Array(0), listed = new Uint8Array(0)] = (await this.seeds()).map(
      (s) => s.bytes,
    );
    info = seed.name === "info" ? bytes : own;
    list = seed.name === "list" ? bytes : listed;
    const env = { HF_HOME: join(dir, "hf"), HF_ENDPOINT: hubUrl(), HF_HUB_DOWNLOAD_TIMEOUT: "1" };
    await resolveModel("a/b", { env, retryDelay: 1 });
  },
};
