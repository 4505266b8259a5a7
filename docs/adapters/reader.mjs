// A small reader of files that torch.save writes: zip archives without compression,
// pickles of protocol 2, strided tensors. It is there for example.mjs to wrap.

import { readFileSync } from "node:fs";

const DTYPES = { Float: ["float32", 4], Double: ["float64", 8], Half: ["float16", 2],
    BFloat16: ["bfloat16", 2], Long: ["int64", 8], Int: ["int32", 4],
    Short: ["int16", 2], Char: ["int8", 1], Byte: ["uint8", 1], Bool: ["bool", 1] };

export class Tensor {
    constructor(storage, offset, shape, stride) {
        Object.assign(this, { storage, offset, shape, stride, dtype: storage.dtype });
        if (![offset, ...shape, ...stride].every((n) => Number.isInteger(n) && n >= 0)
            || shape.length !== stride.length)
            throw new Error("a tensor of no such shape");
        const last = shape.reduce((sum, size, i) => sum + (size - 1) * stride[i], offset);
        const empty = shape.includes(0);
        if (!empty && (last + 1) * storage.size > storage.bytes.length)
            throw new Error("a tensor reaches past the end of its storage");
    }

    // The bytes of the elements, row-major, whatever the strides are.
    elements() {
        const { bytes, size } = this.storage;
        const found = [];
        const visit = (axis, at) => {
            if (axis === this.shape.length)
                found.push(bytes.subarray(at * size, (at + 1) * size));
            else
                for (let i = 0; i < this.shape[axis]; i++)
                    visit(axis + 1, at + i * this.stride[axis]);
        };
        visit(0, this.offset);
        return Buffer.concat(found);
    }
}

export function load(file) {
    const records = unzip(readFileSync(file));
    const pickle = [...records.keys()].find((name) => name.endsWith("/data.pkl"));
    if (pickle === undefined) throw new Error("no data.pkl in the archive");
    const folder = pickle.slice(0, -"data.pkl".length);
    if (records.get(`${folder}byteorder`)?.toString() === "big")
        throw new Error("big-endian files are not supported");
    const storages = new Map();
    const storage = ([, type, key]) => {
        if (!storages.has(key)) {
            const [dtype, size] = DTYPES[type.slice("torch.".length, -"Storage".length)]
                ?? fail(`${type} is not supported`);
            const bytes = records.get(`${folder}data/${key}`)
                ?? fail(`no record of storage ${key}`);
            storages.set(key, { bytes, dtype, size });
        }
        return storages.get(key);
    };
    return unpickle(records.get(pickle), storage);
}

const fail = (message) => { throw new Error(message); };

// ---------------------------------------------------------------------- the archive

function unzip(data) {
    const end = data.lastIndexOf("PK\x05\x06", undefined, "latin1");
    if (end < 0) throw new Error("no zip archive, or not all of it");
    const records = new Map();
    let at = data.readUInt32LE(end + 16);
    for (let left = data.readUInt16LE(end + 10); left > 0; left--) {
        if (data.readUInt16LE(at + 10) !== 0) fail("a record is compressed");
        const size = data.readUInt32LE(at + 24);
        const [name, extra, comment] = [28, 30, 32].map((i) => data.readUInt16LE(at + i));
        const local = data.readUInt32LE(at + 42);
        const start = local + 30 + data.readUInt16LE(local + 26)
            + data.readUInt16LE(local + 28);
        if (start + size > data.length) fail("a record ends after the file");
        const text = data.toString("utf8", at + 46, at + 46 + name);
        records.set(text, data.subarray(start, start + size));
        at += 46 + name + extra + comment;
    }
    return records;
}

// ----------------------------------------------------------------------- the pickle

const MARK = Symbol("mark");

const CALLS = {
    "collections.OrderedDict": () => new Map(),
    "torch._utils._rebuild_tensor_v2": (storage, offset, shape, stride, ...rest) =>
        rest[2] ? fail("conj and neg are not supported")
            : new Tensor(storage, offset, shape, stride),
    "torch._utils._rebuild_parameter": (tensor) => tensor,
};

function unpickle(data, storage) {
    let at = 0;
    const stack = [], memo = new Map();
    const take = (count) => at + count <= data.length
        ? data.subarray(at, (at += count)) : fail("the pickle ends too soon");
    const line = () => {
        const end = data.indexOf(10, at);
        return take(end < 0 ? data.length + 1 : end + 1 - at).toString().trimEnd();
    };
    const text = (size) => take(size).toString();
    const marked = () => {
        const start = stack.lastIndexOf(MARK);
        return stack.splice(start).slice(1);
    };
    const set = (pairs) => {
        for (let i = 0; i < pairs.length; i += 2) stack.at(-1).set(pairs[i], pairs[i + 1]);
    };
    const codes = {
        "\x80": () => take(1), "(": () => stack.push(MARK), "0": () => stack.pop(),
        "}": () => stack.push(new Map()), "]": () => stack.push([]),
        ")": () => stack.push([]), "N": () => stack.push(null),
        "\x88": () => stack.push(true), "\x89": () => stack.push(false),
        "K": () => stack.push(take(1)[0]),
        "M": () => stack.push(take(2).readUInt16LE()),
        "J": () => stack.push(take(4).readInt32LE()),
        "G": () => stack.push(take(8).readDoubleBE()),
        "X": () => stack.push(text(take(4).readUInt32LE())),
        "c": () => stack.push(`${line()}.${line()}`),
        "q": () => memo.set(take(1)[0], stack.at(-1)),
        "r": () => memo.set(take(4).readUInt32LE(), stack.at(-1)),
        "h": () => stack.push(memo.get(take(1)[0])),
        "j": () => stack.push(memo.get(take(4).readUInt32LE())),
        "t": () => stack.push(marked()),
        "\x85": () => stack.push(stack.splice(-1)),
        "\x86": () => stack.push(stack.splice(-2)),
        "\x87": () => stack.push(stack.splice(-3)),
        "s": () => set(stack.splice(-2)), "u": () => set(marked()),
        "a": () => { const [item] = stack.splice(-1); stack.at(-1).push(item); },
        "e": () => { const items = marked(); stack.at(-1).push(...items); },
        "Q": () => stack.push(storage(stack.pop())),
        "b": () => stack.pop(),           // the state of an OrderedDict: metadata
        "R": () => {
            const [called, args] = stack.splice(-2);
            stack.push((CALLS[called] ?? fail(`${called} is not supported`))(...args));
        },
    };
    while (at < data.length) {
        const code = String.fromCharCode(data[at++]);
        if (code === ".") return stack.pop();
        (codes[code] ?? fail(`opcode ${JSON.stringify(code)} is not supported`))();
    }
    throw new Error("the pickle has no end");
}
