"""What the flags of cases mean: each explained once."""

from __future__ import annotations

from typing import Final

FLAGS: Final[dict[str, str]] = {
    # What a reader must be able to do.
    "alias": "Two tensors share a storage, or two references lead to one object.",
    "attributes": "A tensor or mapping carries attributes of its own.",
    "big-endian": "The storages are big-endian.",
    "byteorder-missing": "The archive has no `byteorder` record.",
    "conj": "A tensor is marked as conjugated: its elements are those of the storage, "
    "conjugated.",
    "neg": "A tensor is marked as negated: its elements are those of the storage, "
    "negated.",
    "deflate": "Records are DEFLATEd.",
    "crc-zero": "The checksums in the archive are zero.",
    "cycle": "A value contains itself.",
    "device": "A storage says that it belongs to a device other than the CPU.",
    "duplicate-record": "Two records have one name, or names that differ in case.",
    "empty": "A tensor or storage has no elements.",
    "many": "More than 1,000 items, which pickle writes in batches.",
    "non-contiguous": "The elements of a tensor do not lie row-major in its storage.",
    "offset": "A tensor begins inside its storage.",
    "python-2": "Written by Python 2, or as Python 2 would.",
    "requires-grad": "A tensor or Parameter requires gradients, or says that it does "
    "not where others do.",
    "shared-storage": "Several tensors show parts of one storage.",
    "silent-failure": "A reader is known to give wrong values here, or to drop some, "
    "without an error.",
    "special-values": "NaN payloads, infinities, negative zero, or numbers at the "
    "edge of their type.",
    "user-report": "Someone met this bug; the links lead to the thread.",
    "weights-only-refuses": "torch.load with weights_only=True refuses the file, for a "
    "global that it does not allow or an opcode that it does not know: a reader of "
    "weights may refuse it too.",
    # What is wrong with an invalid file.
    "truncated": "The file ends too soon.",
    "size-lies": "A size in the file is not that of what it counts.",
    "out-of-bounds": "A tensor would reach past its storage.",
    "overflow": "A product of sizes does not fit in 64 bits.",
    "stack": "The pickle takes more from its stack than there is, or the wrong thing.",
    "forbidden-global": "A global that must not be imported, looked up or called.",
    "ambiguous-zip": "Two zip readers may see two different archives.",
    "bomb": "Small, and costs memory, time or depth out of proportion.",
    "deep": "Values lie in each other deeper than a recursive reader can go.",
    "doubling": "A few values that share their parts: exponential for whoever visits a "
    "part as often as it is met.",
    "colliding": "Keys that were chosen to have one hash.",
    "costly-text": "Text that costs more than its length to convert, decode or show.",
    "unfilled": "Nothing in the file fills a storage or a tensor.",
    "sparse-indices": "Indices of a sparse or nested tensor point outside, repeat or "
    "are in no order.",
    "tar-header": "A header of a tar lies, or leads outside.",
    "wrong-target": "A bit, an item or a state is given to what cannot have it.",
    "cve": "Published as a vulnerability of a reader or a scanner; the links lead to "
    "the entry.",
    "scanner": "A scanner for malware is known to miss what such a file does.",
}
