// netron opens a file as its window does, up to where it would draw it: its own
// factory finds out what kind of file it is, its own reader reads it.
//
//     node netron_adapter.mjs <folder of netron's JavaScript> <its version>

import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, version] = process.argv.slice(2);
const netron = (name) => import(pathToFileURL(path.join(folder, name)).href);
const base = await netron('base.js');
const pytorch = await netron('pytorch.js');
const tar = await netron('tar.js');
const zip = await netron('zip.js');

// ---------------------------------------------------------------- the loader

// What netron's reader asks of its window: the file, as a stream or a container,
// and the data files of its own.
class Context {

    constructor(file) {
        this.identifier = path.basename(file);
        this.stream = new base.BinaryStream(new Uint8Array(fs.readFileSync(file)));
        this.containers = new Map();
    }

    async peek(type) {
        if (!this.containers.has(type)) {
            const archive = { zip, tar }[type];
            const found = archive && archive.Archive.open(this.stream, type);
            this.stream.seek(0);
            this.containers.set(type, found ? found.entries : undefined);
        }
        return this.containers.get(type);
    }

    asset(name) {
        return fs.promises.readFile(path.join(folder, name), 'utf-8');
    }

    require(id) {
        return netron(`${id}.js`);
    }

    // Of the other kinds of file that it knows, this one is none.
    read() {
        return null;
    }

    set(_type, reader) {
        this.reader = reader;
    }

    error() {
        // netron shows it, and goes on.
    }
}

const read = async (file) => {
    const context = new Context(file);
    await new pytorch.ModelFactory().match(context);
    const { reader } = context;
    if (!reader) {
        throw new Error('Unsupported file content.');
    }
    reader.on('resolve', () => {});
    await reader.read(await pytorch.Metadata.open(context));
    const { CONSTANTS } = reader.execution ? reader.execution.builtins : {};
    return [reader.modules || reader.module, Object.values(CONSTANTS || {})];
};

// ------------------------------------------------------- the tensors in a tree

// Each reader has a torch of its own, with classes of its own.
const isTensor = (value) => {
    let type = value && typeof value === 'object' ? value.constructor : null;
    for (; type; type = Object.getPrototypeOf(type)) {
        if (type.__module__ === 'torch' && type.__name__ === 'Tensor') {
            return true;
        }
    }
    return false;
};

const ANY = '*';

// Text and integers have names; an object became text if netron keeps a dict as
// an object of JavaScript.
const step = (key) => {
    const named = typeof key === 'string' ? key !== '[object Object]' :
        typeof key === 'bigint' || Number.isInteger(key);
    return named ? String(key) : ANY;
};

// What a value holds, by key, index or attribute.
const below = (value) => {
    if (!value || typeof value !== 'object' || ArrayBuffer.isView(value)) {
        return [];
    }
    if (value.constructor.__name__ === 'ndarray') {
        // Its elements have names of numpy's.
        return [];
    }
    if (value instanceof Map) {
        return [...value].map(([key, child]) => [step(key), child]);
    }
    if (value instanceof Set) {
        return [...value].map((child) => [ANY, child]);
    }
    if (value._c && value._c._ivalue) {
        // A module of TorchScript: `_c` is what C++ calls it.
        value = value._c;
    }
    return Object.entries(value._ivalue || value).map(([key, child]) => [step(key), child]);
};

// A tree that sharing makes larger than this is entered once only.
const UNROLLED = 100000;

// Every reference to a tensor, by its dotted name: see `serving.find`.
const find = function* (root, again) {
    if (isTensor(root)) {
        yield ['', root];
        return;
    }
    const entered = new Set([root]);
    const steps = [];
    const stack = [[root, below(root).values()]];
    for (let count = 0; stack.length > 0;) {
        const [here, pairs] = stack[stack.length - 1];
        const next = pairs.next();
        steps.length = stack.length - 1;
        if (next.done) {
            stack.pop();
            if (again) {
                entered.delete(here);
            }
            continue;
        }
        const [name, value] = next.value;
        steps.push(name);
        if (isTensor(value)) {
            yield [steps.join('.'), value];
        } else if (value && typeof value === 'object' && !entered.has(value)) {
            if (again && ++count > UNROLLED) {
                throw new RangeError('unrolled');
            }
            entered.add(value);
            stack.push([value, below(value).values()]);
        }
    }
};

const tensors = (root) => {
    try {
        return [...find(root, true)];
    } catch (error) {
        if (error.message !== 'unrolled') {
            throw error;
        }
        return [...find(root, false)];
    }
};

// -------------------------------------------------------------- what is told

// Elements are not spelled out beyond this many bytes.
const SPELLED = 64 << 20;

// The elements row-major, or null where netron has no bytes for all of them.
const elements = (tensor, itemsize) => {
    const size = Array.from(tensor.size(), Number);
    const stride = Array.from(tensor.stride(), Number);
    const count = size.reduce((a, b) => a * b, 1);
    const { data } = tensor.storage() || {};
    if (!data || count * itemsize > SPELLED) {
        return null;
    }
    const bytes = data.peek ? data.peek(data.length) : data;
    const found = Buffer.alloc(count * itemsize);
    const index = size.map(() => 0);
    let from = Number(tensor.storage_offset());
    for (let to = 0; to < count; to++) {
        const element = bytes.subarray(from * itemsize, (from + 1) * itemsize);
        if (element.length < itemsize) {
            return null;
        }
        found.set(element, to * itemsize);
        for (let axis = size.length - 1; axis >= 0; axis--) {
            from += stride[axis];
            if (++index[axis] < size[axis]) {
                break;
            }
            from -= stride[axis] * size[axis];
            index[axis] = 0;
        }
    }
    return found;
};

// netron has names of its own for these.
const DTYPES = {
    'boolean': 'bool',
    'complex<float16>': 'complex32',
    'complex<float32>': 'complex64',
    'complex<float64>': 'complex128'
};

const dtypeName = (dtype) => {
    const name = dtype.__reduce__();
    return DTYPES[name] || name;
};

// Nothing for a tensor without a storage, which cannot tell, and for dtypes that
// netron does not know, of which it makes empty objects.
const dtypeOf = (tensor) => {
    if (!tensor._dtype && !tensor.storage()) {
        return null;
    }
    const { dtype } = tensor;
    return dtype && dtype.itemsize ? dtype : null;
};

// Integers as the protocol has them, or nothing where there is something else.
const text = (value) => {
    return typeof value === 'bigint' || Number.isInteger(value) ?
        BigInt(value).toString() : undefined;
};

const texts = (values) => {
    const found = Array.isArray(values) ? values.map(text) : [undefined];
    return found.includes(undefined) ? undefined : found;
};

const told = function* (name, tensor, storages) {
    while (isTensor(tensor.data)) {
        // A Parameter has its tensor in `data`.
        tensor = tensor.data;
    }
    const answer = { name: name.toWellFormed(), shape: texts(tensor.size()) };
    if (tensor.is_sparse) {
        answer.dtype = dtypeName(tensor.dtype);
        yield answer;
        for (const part of ['indices', 'values']) {
            yield* told(name ? `${name}.${part}` : part, tensor[part], storages);
        }
        return;
    }
    const dtype = dtypeOf(tensor);
    if (dtype) {
        answer.dtype = dtypeName(dtype);
    }
    if (tensor.is_nested) {
        // What else it has is that of the buffer with all components.
        delete answer.shape;
        yield answer;
        return;
    }
    const storage = tensor.storage();
    if (tensor.stride()) {
        answer.stride = texts(tensor.stride());
        answer.offset = text(tensor.storage_offset());
    }
    if (storage) {
        if (!storages.has(storage)) {
            storages.set(storage, String(storages.size));
        }
        answer.storage = storages.get(storage);
    }
    // Of types with several elements in a byte netron has no size.
    const sized = dtype && dtype.itemsize() && !answer.dtype.startsWith('quint4x2');
    const spelled = sized && answer.stride ? elements(tensor, dtype.itemsize()) : null;
    if (spelled) {
        answer.sha256 = crypto.createHash('sha256').update(spelled).digest('hex');
    }
    yield answer;
};

const list = ([root, constants]) => {
    const storages = new Map();
    const named = constants.map((value, index) => [`kwargs.constants.${index}`, value]);
    const found = [...tensors(root), ...named.filter(([, value]) => isTensor(value))];
    return found.flatMap(([name, tensor]) => [...told(name, tensor, storages)]);
};

// ------------------------------------------------------------------ the loop

const answer = async (command) => {
    if (command.command === 'start') {
        return {
            answer: 'started',
            protocol: 1,
            name: 'netron',
            version,
            language: 'JavaScript',
            facts: ['dtype', 'shape', 'data', 'stride', 'sharing'],
            homepage: 'https://netron.app',
            issues: 'https://github.com/lutzroeder/netron/issues'
        };
    }
    const { id, file } = command;
    try {
        // The bytes, too, which netron reads late.
        return { answer: 'loaded', id, tensors: list(await read(file)) };
    } catch (error) {
        const message = `${error.name}: ${error.message}`.slice(0, 2000);
        return { answer: 'rejected', id, message: message.toWellFormed() };
    }
};

// Whatever netron prints is not the protocol.
for (const name of ['log', 'info', 'debug', 'dir']) {
    console[name] = console.error;
}

for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.command === 'stop') {
        process.exit(0);
    }
    fs.writeSync(1, `${JSON.stringify(await answer(command))}\n`);
}
