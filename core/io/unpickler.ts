import { excerpt } from "../excerpt.ts";
import { PickleReader } from "./pickle-reader.ts";

/**
 * A global that a pickle refers to, such as "collections.OrderedDict"; only its name is compared,
 * nothing is imported.
 */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What a hook's call may use. */
export interface CallTools {
  readonly fail: (rule: string) => never;
  /** Pays for work, in items walked or made; fails when the pickle is too small for so much. */
  readonly charge: (items: number) => void;
}

/** Handlers of the opcodes that refer to outside objects. Each may call `fail`. */
export interface PickleHooks {
  /** Whether a global is allowed. */
  allows(name: string): boolean;
  /** The value of an object stored outside the pickle. */
  persistent(id: unknown, fail: (rule: string) => never): unknown;
  /**
   * The result of calling an allowed global with arguments. A call that walks an argument must first
   * `charge` its length: a memoised argument costs the pickle 2 bytes, however long it is.
   */
  call(name: string, args: readonly unknown[], tools: CallTools): unknown;
}

const HINT =
  "only tensors are read, and code in a file is never run: convert the file to safetensors";

// Work that a pickle may cause: torch's own cause less than one item a byte.
const ITEMS_PER_BYTE = 4;
const FREE_ITEMS = 100_000;
// What an empty list, and a dict or an object, cost in memory: in items of 8 bytes.
const LIST_ITEMS = 2;
const OBJECT_ITEMS = 16;

/**
 * The stack machine of the pickle format. Lists and tuples are arrays, dicts are Maps; nothing is
 * ever executed.
 */
class Machine implements CallTools {
  readonly stack: unknown[] = [];
  readonly memo = new Map<number, unknown>();
  readonly #marks: number[] = [];
  readonly #start: number;
  #items = 0;
  readonly reader: PickleReader;
  readonly hooks: PickleHooks;

  constructor(reader: PickleReader, hooks: PickleHooks) {
    this.reader = reader;
    this.#start = reader.offset;
    this.hooks = hooks;
  }

  fail = (rule: string): never => this.reader.fail(rule, HINT);

  charge = (items: number): void => {
    this.#items += items;
    const allowed = FREE_ITEMS + ITEMS_PER_BYTE * (this.reader.offset - this.#start);
    if (this.#items > allowed) this.fail("makes far more objects than its size explains");
  };

  pushList(items: unknown[]): void {
    this.charge(LIST_ITEMS);
    this.push(items);
  }

  pushDict(): void {
    this.charge(OBJECT_ITEMS);
    this.push(new Map());
  }

  pushPersistent(): void {
    this.charge(OBJECT_ITEMS);
    this.push(this.hooks.persistent(this.pop(), this.fail));
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    if (this.stack.length <= (this.#marks.at(-1) ?? 0)) this.fail("pops an empty stack");
    return this.stack.pop();
  }

  popCount(count: number): unknown[] {
    return Array.from({ length: count }, () => this.pop()).toReversed();
  }

  top(): unknown {
    const value = this.pop();
    this.push(value);
    return value;
  }

  mark(): void {
    this.#marks.push(this.stack.length);
  }

  popToMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) return this.fail("closes a mark that was never set");
    return this.stack.splice(mark);
  }

  pushMemo(index: number): void {
    if (!this.memo.has(index)) this.fail(`reads memo ${index}, which was never set`);
    this.push(this.memo.get(index));
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) return this.fail("appends to something other than a list");
    for (const item of items) list.push(item);
  }

  setItems(pairs: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof Map)) return this.fail("sets a key of something other than a dict");
    if (pairs.length % 2 === 1) this.fail("sets a key without a value");
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1]);
  }

  stackGlobal(): void {
    const name = this.pop();
    const module = this.pop();
    if (typeof module !== "string" || typeof name !== "string") {
      return this.fail("names a global by something other than text");
    }
    this.pushGlobal(module, name);
  }

  pushGlobal(module: string, name: string): void {
    const full = `${module}.${name}`;
    if (!this.hooks.allows(full)) {
      this.fail(`refers to ${excerpt(full)}, which no tensor needs`);
    }
    this.push(new PickleGlobal(full));
  }

  reduce(): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args)) {
      return this.fail("calls something other than a global");
    }
    this.charge(OBJECT_ITEMS);
    this.push(this.hooks.call(callee.name, args, this));
  }

  /**
   * Attributes of an OrderedDict (torch keeps version numbers there) are irrelevant to tensors and
   * dropped.
   */
  build(): void {
    this.pop();
    if (!(this.top() instanceof Map)) this.fail("sets attributes of something other than a dict");
  }
}

/**
 * The opcodes of protocols 2 to 5 that tensor files use; every other one is refused. The loop
 * handles STOP.
 */
const OPCODES: Readonly<Record<string, (m: Machine) => void>> = {
  "(": (m) => m.mark(),
  "0": (m) => void m.pop(),
  J: (m) => m.push(m.reader.i32()),
  K: (m) => m.push(m.reader.u8()),
  M: (m) => m.push(m.reader.u16()),
  N: (m) => m.push(null),
  G: (m) => m.push(m.reader.f64()),
  T: (m) => m.push(m.reader.text(m.reader.u32())),
  U: (m) => m.push(m.reader.text(m.reader.u8())),
  X: (m) => m.push(m.reader.text(m.reader.u32())),
  "]": (m) => m.pushList([]),
  "}": (m) => m.pushDict(),
  ")": (m) => m.pushList([]),
  t: (m) => m.pushList(m.popToMark()),
  a: (m) => m.append(m.popCount(1)),
  e: (m) => m.append(m.popToMark()),
  s: (m) => m.setItems(m.popCount(2)),
  u: (m) => m.setItems(m.popToMark()),
  q: (m) => m.memo.set(m.reader.u8(), m.top()),
  r: (m) => m.memo.set(m.reader.u32(), m.top()),
  h: (m) => m.pushMemo(m.reader.u8()),
  j: (m) => m.pushMemo(m.reader.u32()),
  c: (m) => m.pushGlobal(m.reader.line(), m.reader.line()),
  Q: (m) => m.pushPersistent(),
  R: (m) => m.reduce(),
  b: (m) => m.build(),
  "\x80": (m) => m.reader.skip(1), // PROTO
  "\x85": (m) => m.pushList(m.popCount(1)),
  "\x86": (m) => m.pushList(m.popCount(2)),
  "\x87": (m) => m.pushList(m.popCount(3)),
  "\x88": (m) => m.push(true),
  "\x89": (m) => m.push(false),
  "\x8a": (m) => m.push(m.reader.integer(m.reader.u8())), // LONG1
  "\x8c": (m) => m.push(m.reader.text(m.reader.u8())), // SHORT_BINUNICODE
  "\x93": (m) => m.stackGlobal(),
  "\x94": (m) => m.memo.set(m.memo.size, m.top()), // MEMOIZE
  "\x95": (m) => m.reader.skip(8), // FRAME: its length is not needed
};

const STOP = ".";

/**
 * Reads the pickle that starts at byte `start` of `bytes` without executing anything. Throws an
 * AdaloraError naming `where` and the byte offset on any opcode or global that tensors do not need.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  where: string,
  hooks: PickleHooks,
): { value: unknown; end: number } {
  const reader = new PickleReader(bytes, start, where);
  const machine = new Machine(reader, hooks);
  for (;;) {
    const opcode = String.fromCharCode(reader.u8());
    if (opcode === STOP) return { value: machine.pop(), end: reader.offset };
    const execute = Object.hasOwn(OPCODES, opcode) ? OPCODES[opcode] : undefined;
    if (execute === undefined) {
      const shown = opcode.charCodeAt(0).toString(16).padStart(2, "0");
      return machine.fail(`has opcode 0x${shown}, which no tensor needs`);
    }
    execute(machine);
  }
}
