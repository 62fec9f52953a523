import { errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { describeContent } from "./file-errors.ts";
import { type MappedFile, openMapped } from "./mapped-file.ts";
import type { StoredTensor } from "./stored-tensor.ts";
import { readLegacyStream } from "./torch-legacy.ts";
import { readStateDict } from "./torch-state-dict.ts";
import { TORCH_HOOKS } from "./torch-tensors.ts";
import { unpickle } from "./unpickler.ts";
import { readZipDirectory } from "./zip-directory.ts";

const PICKLE = "data.pkl";

/**
 * Reads the zip archive that torch.save writes: NAME/data.pkl, and NAME/data/KEY for each storage.
 */
function readZip(file: MappedFile): Map<string, StoredTensor> {
  const entries = readZipDirectory(file);
  const pickles = [...entries.keys()].filter(
    (name) => name === PICKLE || name.endsWith(`/${PICKLE}`),
  );
  const [name] = pickles;
  if (name === undefined || pickles.length > 1) {
    const found =
      [...entries.keys()]
        .slice(0, 5)
        .map((each) => cutText(each))
        .join(", ") || "no entries";
    throw errors.file(
      file.path,
      `is a zip archive, but not a checkpoint of torch.save: found ${found}`,
    );
  }
  const prefix = name.slice(0, -PICKLE.length);
  if (entries.has(`${prefix}constants.pkl`)) {
    throw errors.file(
      file.path,
      "is a TorchScript archive",
      "save model.state_dict() with torch.save",
    );
  }
  const bytesOf = (entry: string) => entries.get(prefix + entry)?.();
  const order = Buffer.from(bytesOf("byteorder") ?? "little").toString("latin1", 0, 20);
  if (order !== "little") {
    throw errors.file(
      file.path,
      `has byte order ${excerpt(order)}, must be "little"`,
      "save it again on x86 or ARM",
    );
  }
  const where = `${file.path}: ${cutText(name)}`;
  const { value } = unpickle(bytesOf(PICKLE) ?? new Uint8Array(0), 0, where, TORCH_HOOKS);
  return readStateDict(value, file, (key, size) => {
    const storage = bytesOf(`data/${key}`);
    if (storage !== undefined && storage.length >= size) return storage;
    const found = storage === undefined ? "nothing" : `${storage.length} bytes`;
    throw errors.file(
      file.path,
      `storage ${excerpt(`data/${key}`)} needs ${size} bytes, found ${found}`,
    );
  });
}

/**
 * Reads the state dict of a torch checkpoint (`pytorch_model.bin`, `*.pt`), zip or legacy, without
 * executing anything. Tensors are views of the mapped file where their strides allow it. Throws an
 * AdaloraError on anything but tensors, a name outside the allow-list, or a size that does not fit.
 */
export function openTorchCheckpoint(path: string): Map<string, StoredTensor> {
  const file = openMapped(path);
  const head = file.view(0, Math.min(file.size, 64));
  const found = describeContent(head);
  if (found === "a zip archive") return readZip(file);
  if (found === "a pickle") return readLegacyStream(file);
  throw errors.file(
    path,
    "is not a torch checkpoint",
    found === undefined ? undefined : `this is ${found}`,
  );
}
