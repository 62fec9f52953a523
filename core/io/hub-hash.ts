/**
 * The hash by which the hub identifies a file's content, in hexadecimal: SHA-256 for a large (LFS)
 * file, git's SHA-1 of the blob for another. `like` is a hash of the same kind.
 */
export async function contentHash(content: Blob, like: string): Promise<string> {
  const hasher = newContentHasher(like, content.size);
  for await (const chunk of content.stream()) hasher.update(chunk);
  return hasher.digest("hex");
}

/**
 * A hasher for content of `size` bytes. Git hashes a small file behind a header with its length; a
 * large (LFS) file has a plain SHA-256.
 */
export function newContentHasher(like: string, size: number): Bun.CryptoHasher {
  return like.length === 64
    ? new Bun.CryptoHasher("sha256")
    : new Bun.CryptoHasher("sha1").update(`blob ${size}\0`);
}
