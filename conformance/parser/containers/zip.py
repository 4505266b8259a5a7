"""Zip archives, read as torch reads them.

torch 2.13 opens an archive with its `PyTorchStreamReader`
(caffe2/serialize/inline_container.cc) on top of miniz 3.0.2
(third_party/miniz-3.0.2/miniz.c), through a file object, from wherever that
stands. What an odd or a hostile archive means is decided there, and Python's
`zipfile` often decides otherwise, so this module goes the same way:

- The end record is the last signature that windows of 4096 bytes find, going
  back 4093 bytes at a time. Comments and junk behind it are not looked at.
- The directory alone says which records there are, how long they are and how
  they are packed. Of a local header only the signature and the lengths of the
  name and the extra field count. No checksum is compared.
- Names are looked up without regard to ASCII case. Among equal names the one
  wins that a binary search of miniz's heap-sorted directory happens to hit.
- Arithmetic on offsets is modulo 2^64, and a file object does not mind going
  back before the place where it stood when torch was called.

What torch leaves to chance is refused: records that nothing fills
(`Uninitialised`), and DEFLATE streams that break. torch does not look whether
miniz could inflate a stream, and takes what memory has for the rest.

Offsets, in errors too, count from the start of the archive.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from conformance.parser.errors import (
    LimitExceeded,
    Malformed,
    NotACheckpoint,
    Truncated,
    Uninitialised,
    Unsupported,
    quote,
)
from conformance.parser.limits import Limits

from .miniz import FULL, MOD, index, leading_number, signed, zip64

# Headers (APPNOTE.TXT 4.3), without the fields that nobody reads.
#: Signature, length of the name, of the extra field.
_LOCAL: Final = struct.Struct("<4s22xHH")
#: Signature, flags, method and time, packed size, size, lengths of name, extra
#: field and comment, disk, attributes, offset of the local header.
_CENTRAL: Final = struct.Struct("<4s4xHI6xIIHHHH2xII")
#: Signature, disk, disk of the directory, entries on this disk, all entries,
#: size of the directory, its offset.
_END: Final = struct.Struct("<4sHHHHII2x")
#: Signature, size of what follows, then as above.
_END64: Final = struct.Struct("<4sQ4xIIQQQQ")
#: Signature, offset of the zip64 end record, number of disks.
_LOCATOR: Final = struct.Struct("<4s4xQI")

_STORED: Final = 0
_DEFLATED: Final = 8
#: Flags: encrypted, patch data, strongly encrypted.
_UNREADABLE: Final = 0x61
#: Flag: the local header is masked.
_MASKED: Final = 0x2000
#: The attribute of a DOS directory.
_FOLDER: Final = 0x10

#: How much miniz reads at a time when it looks for the end record, and when it
#: inflates; and where torch cuts a name to list it.
_WINDOW: Final = 4096
_CHUNK: Final = 1 << 16
_NAME: Final = 511

#: Versions of the format that torch 2.13 reads (caffe2/serialize/versions.h).
_VERSIONS: Final = range(1, 11)
_BYTEORDERS: Final[dict[bytes, Literal["little", "big"]]] = {
    b"little": "little",
    b"big": "big",
}
_SERIALIZATION_ID: Final = ".data/serialization_id"


class Metadata(NamedTuple):
    """The records about the archive itself; `None` where there is none."""

    byteorder: Literal["little", "big"] | None
    format_version: bytes | None
    storage_alignment: int | None
    serialization_id: str | None


class ZipArchive:
    """The records of an archive, by their names below its one root folder.

    `view` holds the file, and the archive begins at `start` in it. The whole
    directory is checked at once, as torch does; a record's header and bytes
    when it is asked for. Every method raises a `CheckpointError` and nothing
    else, whatever the bytes.

    `root` is the name of the folder, `version` the number in the record of
    that name.
    """

    __slots__ = (
        "_budget",
        "_checked",
        "_limits",
        "_names",
        "_places",
        "_prefix",
        "_size",
        "_start",
        "_view",
        "root",
        "version",
    )

    def __init__(
        self, view: memoryview, limits: Limits | None = None, *, start: int = 0
    ) -> None:
        limits = limits or Limits()
        self._view = view.toreadonly()
        self._start = start
        self._size = len(view) - start
        # Bytes that all records together may still inflate to.
        self._budget = limits.inflate_ratio * self._size
        self._checked: set[tuple[int, int, int]] = set()
        self._limits = limits
        names, places = self._entries()
        self._prefix = _folder(names[0])
        self._names = _listed(names, self._prefix)
        self._places = index(names, places)
        self.root = self._prefix[:-1].decode("utf-8", "backslashreplace")
        # torch reads these two when it opens the archive.
        self._optional(_SERIALIZATION_ID)
        self.version = self._version()

    def names(self) -> list[str]:
        """The names in the directory, in its order; equal ones as often."""
        return list(self._names)

    def __contains__(self, name: str) -> bool:
        return self._key(name) in self._places

    def read(self, name: str) -> memoryview:
        """A whole record, inflated where it is packed."""
        method, offset, packed, size = self._open(name)
        if method == _STORED:
            return self._bytes(offset, size, name)
        if size > max(
            self._limits.inflate_base, self._limits.inflate_pickle_ratio * packed
        ):
            raise LimitExceeded(
                f"the record {quote(name)} inflates to {size} bytes", offset=offset
            )
        self._check(name, offset, packed, size)
        return self._inflated(name, offset, packed, size)

    def source(self, name: str, nbytes: int) -> memoryview | Callable[[], memoryview]:
        """The bytes of a storage: a slice of the file, or what inflates them.

        `nbytes` is what the pickle says; any other size is `Malformed`. A
        packed record is inflated once here, to know that it can be, and is
        not kept.
        """
        method, offset, packed, size = self._open(name)
        if size != nbytes:
            raise Malformed(
                f"the record {quote(name)} has {size} bytes, not {nbytes}",
                offset=offset,
            )
        if method == _STORED:
            return self._bytes(offset, size, name)
        self._check(name, offset, packed, size)
        return partial(self._inflated, name, offset, packed, size)

    def is_packed(self, name: str) -> bool:
        """Whether the bytes of a record are not those that stand in the file."""
        return self._open(name)[0] != _STORED

    def offset(self, name: str) -> int:
        """Where the bytes of a record begin, packed or not."""
        place = self._place(name)
        entry = _CENTRAL.unpack_from(self._view, place)
        return self._data(self._sizes(place, entry)[2], name)

    def metadata(self) -> Metadata:
        """The records beside the pickle that torch.load reads.

        `Malformed` where torch.load refuses them: a byte order that is not
        `little` or `big`, an alignment that Python's `int` does not take, an
        id that is not UTF-8.
        """
        order = self._optional("byteorder")
        if order is not None and order not in _BYTEORDERS:
            raise Malformed(f"'byteorder' is {quote(order)}, not 'little' or 'big'")
        alignment = self._optional(".storage_alignment")
        identifier = self._optional(_SERIALIZATION_ID)
        try:
            text = None if identifier is None else identifier.decode()
        except UnicodeDecodeError:
            raise Malformed(f"'{_SERIALIZATION_ID}' is not UTF-8") from None
        return Metadata(
            byteorder=None if order is None else _BYTEORDERS[order],
            format_version=self._optional(".format_version"),
            storage_alignment=None if alignment is None else self._integer(alignment),
            serialization_id=text,
        )

    # ---------------------------------------------------------- the directory

    def _end(self) -> int:
        """Where the end record is; below 0 if it stands before the archive."""
        at = max(self._size - _WINDOW, 0)
        while self._start + at >= 0:
            window = self._bytes(at, min(_WINDOW, self._size - at), "the end record")
            # A signature without room for the rest of the record is none.
            room = max(self._size - at - _END.size + 4, 0)
            found = bytes(window[:room]).rfind(b"PK\5\6")
            if found >= 0:
                return at + found
            if at == 0 or self._size - at >= _END.size + 0xFFFF:
                break
            # miniz means to stop at 0, but takes the maximum of unsigned numbers.
            at -= _WINDOW - 3
        raise Truncated(
            "the archive has no end record: it is cut short, or much follows it",
            offset=self._size,
        )

    def _end64(self, end: int) -> list[int] | None:
        """The fields of the zip64 end record, if a locator leads to one."""
        if end < _LOCATOR.size + _END64.size:
            return None
        at = end - _LOCATOR.size
        signature, at64, disks = _LOCATOR.unpack_from(self._view, self._start + at)
        if signature != b"PK\6\7":
            return None
        if at64 > self._size - _END64.size:
            raise Malformed("the zip64 end record is not in the file", offset=at)
        signature, rest, *fields = _END64.unpack_from(self._view, self._start + at64)
        if signature != b"PK\6\6":
            return None
        if rest < _END64.size - 12:
            raise Malformed(f"a zip64 end record of {rest} bytes", offset=at64)
        if disks != 1:
            raise Unsupported(f"an archive on {disks} disks", offset=at)
        if max(fields[2:5]) > FULL:
            raise Unsupported("a directory beyond 2^32", offset=at64)
        return fields

    def _entries(self) -> tuple[list[bytes], list[int]]:
        """The names in the directory, and where in the view each entry is."""
        end = self._end()
        _, *fields = _END.unpack(self._bytes(end, _END.size, "the end record"))
        disk, first, here, count, size, offset = self._end64(end) or fields
        if here != count or (disk, first) not in {(0, 0), (1, 1)}:
            raise Unsupported("an archive on several disks", offset=end)
        if not count:
            raise NotACheckpoint("the archive has no records", offset=end)
        if size < count * _CENTRAL.size or (offset + size) % MOD > self._size:
            raise Malformed(
                f"a directory of {count} entries in {size} bytes at {offset} is "
                "not in the file",
                offset=end,
            )
        directory = bytes(self._bytes(offset, size, "the directory"))
        offset = signed(offset)
        names: list[bytes] = []
        places: list[int] = []
        at = 0
        for _ in range(count):
            name_at = at + _CENTRAL.size
            if name_at > size:
                raise Malformed("the directory ends too soon", offset=offset + at)
            entry = _CENTRAL.unpack_from(directory, at)
            extra_at = name_at + entry[5]
            comment_at = extra_at + entry[6]
            if comment_at + entry[7] > size:
                raise Malformed("the directory ends too soon", offset=offset + at)
            wrong = self._wrong(entry, directory[extra_at:comment_at], disk)
            if wrong:
                raise Malformed(
                    f"the entry of {quote(directory[name_at:extra_at])} {wrong}",
                    offset=offset + at,
                )
            names.append(directory[name_at:extra_at])
            places.append(self._start + offset + at)
            at = comment_at + entry[7]
        return names, places

    def _wrong(self, entry: tuple[Any, ...], extra: bytes, disk: int) -> str | None:
        """Why miniz refuses a whole archive that has this entry."""
        signature, flags, kind, packed, size, _, _, _, entry_disk, _, header = entry
        if signature != b"PK\1\2":
            return "has no signature"
        if extra and FULL in {packed, size, header}:
            numbers = zip64(extra, size, packed, header, strict=False)
            if numbers is None:
                return "has broken extra fields"
            size, packed, header = numbers
        if FULL not in {packed, size} and (
            # Stored, by two fields: miniz reads the time along with the method.
            (kind == _STORED and size != packed) or (size and not packed)
        ):
            return f"says that {packed} bytes hold {size}"
        if entry_disk not in {disk, 1}:
            return f"is about disk {entry_disk}"
        if packed != FULL and (header + _LOCAL.size + packed) % MOD > self._size:
            return f"is about bytes that are not in the file ({packed} at {header})"
        if flags & _MASKED:
            return "says that its local header is masked"
        return None

    # ------------------------------------------------------------- one record

    def _bytes(self, offset: int, length: int, what: str) -> memoryview:
        """Bytes of the archive, or of what stands before it (see the top)."""
        begin = self._start + signed(offset)
        if begin < 0 or begin + length > len(self._view):
            # What is not there has no offset, either.
            raise Malformed(f"{quote(what)} is not in the file ({length} bytes)")
        return self._view[begin : begin + length]

    def _key(self, name: str) -> bytes:
        """What the directory calls a record, in lower case."""
        try:
            # To C, a NUL is the end.
            return (self._prefix + name.encode()).partition(b"\0")[0].lower()
        except UnicodeEncodeError:
            raise Malformed(f"{quote(name)} cannot be a record's name") from None

    def _place(self, name: str) -> int:
        """Where in the view the entry of a record is."""
        place = self._places.get(self._key(name))
        if place is None:
            raise Malformed(f"the archive has no record {quote(name)}")
        return place

    def _sizes(self, place: int, entry: tuple[Any, ...]) -> tuple[int, int, int]:
        """Size, packed size and offset of the local header, of 64 bits."""
        _, _, _, packed, size, length, extra_length, _, _, _, header = entry
        if extra_length and FULL in {packed, size, header}:
            at = place + _CENTRAL.size + length
            extra = bytes(self._view[at : at + extra_length])
            numbers = zip64(extra, size, packed, header, strict=True)
            if numbers is None:
                raise Malformed(
                    "a zip64 extra field is too short", offset=place - self._start
                )
            return numbers
        return size, packed, header

    def _data(self, header: int, name: str) -> int:
        """Where the bytes after a local header begin."""
        local = self._bytes(header, _LOCAL.size, name)
        signature, length, extra_length = _LOCAL.unpack(local)
        if signature != b"PK\3\4":
            raise Malformed(
                f"the record {quote(name)} has no local header", offset=signed(header)
            )
        return int(header + _LOCAL.size + length + extra_length) % MOD

    def _open(self, name: str) -> tuple[int, int, int, int]:
        """Method, offset of the bytes, packed size and size of a record."""
        place = self._place(name)
        entry = _CENTRAL.unpack_from(self._view, place)
        size, packed, header = self._sizes(place, entry)
        method = entry[2] & 0xFFFF
        if method not in {_STORED, _DEFLATED}:
            raise Unsupported(
                f"the record {quote(name)} is packed by method {method}",
                offset=place - self._start,
            )
        if entry[1] & _UNREADABLE:
            raise Unsupported(
                f"the record {quote(name)} is encrypted, or a patch",
                offset=place - self._start,
            )
        last = self._view[place + _CENTRAL.size + entry[5] - 1]
        if not packed or entry[9] & _FOLDER or last == ord("/"):
            # miniz looks no further and reports success.
            if size:
                raise Uninitialised(
                    f"nothing in the file fills the {size} bytes of {quote(name)}",
                    offset=place - self._start,
                )
            return _STORED, 0, 0, 0
        offset = signed(self._data(header, name))
        if (offset + packed) % MOD > self._size or self._start + offset < 0:
            raise Malformed(
                f"the record {quote(name)} is not in the file ({packed} bytes)",
                offset=place - self._start,
            )
        return method, offset, packed, size

    def _inflate(
        self, name: str, offset: int, packed: int, size: int
    ) -> Iterator[bytes]:
        """The first `size` bytes of a DEFLATE stream, in pieces.

        Like miniz, it looks at no more of the stream than that takes.
        """
        inflator = zlib.decompressobj(-zlib.MAX_WBITS)
        missing = size
        while True:
            chunk = bytes(self._bytes(offset, min(packed, _CHUNK), name))
            offset += len(chunk)
            packed -= len(chunk)
            while missing:
                try:
                    piece = inflator.decompress(chunk, min(missing, _CHUNK))
                except zlib.error as error:
                    raise Malformed(
                        f"the DEFLATE stream of {quote(name)} is wrong: {error}",
                        offset=offset,
                    ) from None
                if not piece:
                    break
                yield piece
                missing -= len(piece)
                chunk = inflator.unconsumed_tail
            if not missing:
                return
            if inflator.eof or not packed:
                what = "ends" if inflator.eof else "breaks off"
                raise Malformed(
                    f"the DEFLATE stream of {quote(name)} {what} after "
                    f"{size - missing} of {size} bytes",
                    offset=offset,
                )

    def _inflated(self, name: str, offset: int, packed: int, size: int) -> memoryview:
        return memoryview(b"".join(self._inflate(name, offset, packed, size)))

    def _check(self, name: str, offset: int, packed: int, size: int) -> None:
        """Inflate a record to nowhere, the first time that anyone asks for it."""
        record = offset, packed, size
        if record in self._checked:
            return
        for piece in self._inflate(name, *record):
            self._budget -= len(piece)
            if self._budget < 0:
                raise LimitExceeded(
                    "the archive inflates to more than it may", offset=offset
                )
        self._checked.add(record)

    # --------------------------------------------- records about the archive

    def _optional(self, name: str) -> bytes | None:
        return bytes(self.read(name)) if name in self else None

    def _version(self) -> int:
        name = ".data/version" if ".data/version" in self else "version"
        text = self._optional(name)
        if text is None:
            raise NotACheckpoint("the archive has no record 'version'")
        number = leading_number(text)
        if number is None:
            raise Malformed(f"the version {quote(text)} is no number")
        if number not in _VERSIONS:
            raise Unsupported(f"version {number} of the format, not 1 to 10")
        return number

    def _integer(self, text: bytes) -> int:
        digits = len(text) - len(text.translate(None, b"0123456789"))
        try:
            if digits <= self._limits.int_digits:
                return int(text)
        except ValueError:
            pass
        raise Malformed(f"the storage alignment {quote(text)} is no number")


def _folder(name: bytes) -> bytes:
    """The root folder, out of the first name in the directory; with its slash."""
    root, slash, _ = name.partition(b"/")
    # With a NUL in it torch looks up one name, whatever is asked for, and
    # cannot load what it finds.
    if not slash or b"\0" in root:
        if name.endswith(b".npy"):
            raise NotACheckpoint("this is a .npz file of numpy: use numpy.load()")
        raise NotACheckpoint(f"the first record, {quote(name)}, is in no folder")
    return root + slash


def _listed(names: list[bytes], prefix: bytes) -> list[str]:
    """The names as torch lists them: in a C string of 512 bytes, UTF-8."""
    listed: list[str] = []
    for name in names:
        text = name
        if len(name) > _NAME or b"\0" in name:
            text = name[:_NAME].partition(b"\0")[0]
        if not text.startswith(prefix):
            raise Malformed(f"{quote(name)} is not in the folder {quote(prefix)}")
        try:
            listed.append(text[len(prefix) :].decode())
        except UnicodeDecodeError:
            raise Malformed(f"the name {quote(name)} is not UTF-8") from None
    return listed
