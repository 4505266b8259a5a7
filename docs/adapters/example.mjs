// An adapter for torchproof, whole, around the small reader beside it. Put your own
// loader in its place: what is between the two lines is about it, the rest is about
// the protocol, which docs/protocol.md explains.
//
//     torchproof smoke --command "node docs/adapters/example.mjs"

import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
// ------------------------------------------------------------------ the loader
import { load, Tensor } from "./reader.mjs";

const about = { name: "example", version: "1.0", language: "JavaScript",
    facts: ["dtype", "shape", "data", "stride", "sharing"] };

// A label for each storage: any string will do.
const labels = new WeakMap();
let count = 0;
const label = (storage) =>
    labels.get(storage) ?? (labels.set(storage, String(++count)), String(count));

const tensor = (name, value) => ({
    name,
    dtype: value.dtype,                             // "float32", as torch has it
    shape: value.shape.map(String),                 // numbers travel as strings
    stride: value.stride.map(String),
    offset: String(value.offset),
    storage: label(value.storage),
    sha256: createHash("sha256").update(value.elements()).digest("hex"),
});
// -------------------------------------------------------------------------------

// All tensors of a tree by their dotted names. A reader that has a flat map of names
// needs none of this: [...map].map(([name, value]) => tensor(name, value)).
function* walk(value, steps = [], above = []) {
    if (value instanceof Tensor) yield tensor(steps.join("."), value);
    if (value === null || typeof value !== "object" || above.includes(value)) return;
    const entries = value instanceof Map || Array.isArray(value) ? value.entries() : [];
    for (const [key, child] of entries) {
        const plain = typeof key === "string" || Number.isInteger(key);
        const step = plain ? String(key) : "*";
        yield* walk(child, [...steps, step], [...above, value]);
    }
}

const answers = {
    start: () => ({ answer: "started", protocol: 1, ...about }),
    load: ({ id, file }) => {
        try {
            return { answer: "loaded", id, tensors: [...walk(load(file))] };
        } catch (error) {
            return { answer: "rejected", id, message: String(error) };
        }
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.command === "stop") break;
    process.stdout.write(JSON.stringify(answers[command.command](command)) + "\n");
}
