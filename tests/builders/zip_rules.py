"""Every rule of torch's zip reader, with the smallest archive that shows it.

The same table is held against our reader and against torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from .zips import (
    DEFLATED,
    FULL,
    NONE,
    Entry,
    build,
    checkpoint,
    deflate,
    entries,
    extra,
    zip64,
)


@dataclass(frozen=True)
class Rule:
    """An archive, and what must come of it.

    `refusal` is the kind of error when it is opened; else `records` says what
    reading each one gives: its bytes, or the kind of error.
    """

    name: str
    data: bytes
    records: Mapping[str, bytes | str] = field(default_factory=dict)
    refusal: str | None = None
    start: int = 0

    def __str__(self) -> str:
        return self.name


TEN: Final = b"0123456789"
LONG: Final = b"0123456789" * 30_000
#: Longer, packed, than what torch reads at a time.
NOISE: Final = Random(1).randbytes(150_000)  # noqa: S311 - no secrets here


def one(data: bytes = TEN, **about: Any) -> bytes:
    """An archive whose record `data/0` is built with these attributes of `Entry`."""
    return build([*checkpoint(), Entry(b"archive/data/0", data, **about)])


def with_version(text: bytes) -> bytes:
    return build(entries({"data.pkl": NONE, "version": text}))


def copies(count: int) -> bytes:
    """An archive with so many records `data.pkl`, each a number as a pickle."""
    names = entries({"version": b"3"})
    for i in range(count):
        names[i:i] = entries({"data.pkl": b"\x80\x02K%c." % i})
    return build(names)


PLAIN: Final = build(checkpoint({"data/0": TEN}))
OTHER: Final = build(checkpoint({"data/0": TEN[::-1]}))
SHORT: Final = build(checkpoint({"data/0": b""}))
#: An end record, fields after the signature all zero.
NO_END: Final = b"PK\5\6" + bytes(18)
FOUND: Final = {"data.pkl": NONE, "data/0": TEN}
#: Far enough from the start for the search to go back as far as it can.
DEEP: Final = 80_000


def far(tail: int) -> bytes:
    return build(checkpoint({"data/0": TEN}), gap=bytes(DEEP), tail=bytes(tail))


def near(tail: int) -> bytes:
    return PLAIN + bytes(tail)


def directory(data: bytes) -> bytes:
    """The bytes of the one central directory."""
    return data[data.index(b"PK\1\2") : data.rindex(b"PK\5\6")]


def in_front() -> tuple[bytes, int]:
    """A directory that stands before the archive, at an offset that wraps."""
    listed = checkpoint({"data/0": TEN})
    before = directory(build(listed))
    offset = (1 << 64) - len(before)
    return before + build(listed, end64={"offset": offset}), len(before)


def record_in_front() -> tuple[bytes, int]:
    """A record that stands before the archive, at an offset that wraps."""
    before = build([Entry(b"", TEN)])[: 30 + len(TEN)]
    offset = (1 << 64) - len(before)
    full: dict[str, int | bytes] = {"offset": FULL}
    data = one(in_file=False, central=full, central_extra=zip64(offset))
    return before + data, len(before)


def end_in_front() -> tuple[bytes, int]:
    """The search for the end record that finds one before the archive."""
    body = PLAIN[: PLAIN.rindex(b"PK\5\6")]
    end = PLAIN[len(body) :]
    return bytes(5000) + end + bytes(99) + body + bytes(4096), 5000 + len(end) + 99


END: Final = (
    Rule("plain", PLAIN, FOUND),
    Rule("nothing", b"", refusal="Truncated"),
    Rule("too_short_for_an_end", b"PK\3\4" + bytes(17), refusal="Truncated"),
    Rule("no_end", PLAIN[:-22], refusal="Truncated"),
    Rule("comment", build(checkpoint({"data/0": TEN}), comment=b"hello"), FOUND),
    Rule("comment_length_is_not_looked_at", PLAIN[:-2] + b"\xff\xff", FOUND),
    Rule("junk_behind", PLAIN + b"junk", FOUND),
    Rule("end_without_room_is_none", PLAIN + NO_END[:21], FOUND),
    Rule("last_end_wins", PLAIN + NO_END, refusal="NotACheckpoint"),
    # The search goes back by whole windows, and must not pass the start.
    Rule("end_in_the_first_window", near(4096 - 22), FOUND),
    Rule("end_before_the_first_window", near(4096 - 21), refusal="Truncated"),
    Rule("window_at_the_start", near(8189 - len(PLAIN)), FOUND),
    Rule("window_past_the_start", near(8190 - len(PLAIN)), FOUND),
    Rule("search_before_the_start", bytes(DEEP) + near(6000), FOUND, start=DEEP),
    Rule(
        "search_ends_with_the_file",
        bytes(99) + near(6000),
        refusal="Truncated",
        start=99,
    ),
    Rule("end_in_the_last_window", far(4096 + 16 * 4093 - 22), FOUND),
    Rule("end_before_the_last_window", far(4096 + 16 * 4093 - 21), refusal="Truncated"),
    Rule("end_in_front", end_in_front()[0], FOUND, start=end_in_front()[1]),
    # What the end record says.
    Rule("starts_elsewhere", b"hello" + PLAIN, FOUND, start=5),
    Rule("offsets_not_from_the_start", b"PK\3\4" + PLAIN, refusal="Malformed"),
    Rule("first_of_two_alike", PLAIN + OTHER, FOUND),
    Rule("first_of_two_unlike", PLAIN + SHORT, refusal="Malformed"),
    Rule("second_of_two", PLAIN + OTHER, {"data/0": TEN[::-1]}, start=len(PLAIN)),
    Rule(
        "count_short",
        build(checkpoint({"data/0": TEN}), end={"count": 3, "on_disk": 3}),
        {"data.pkl": NONE, "data/0": "Malformed"},
    ),
    Rule(
        "count_long",
        build(checkpoint(), end={"count": 4, "on_disk": 4}, gap=bytes(99)),
        refusal="Malformed",
    ),
    Rule(
        "count_beyond_the_entries",
        build(checkpoint(), end={"count": 4, "on_disk": 4, "size": 200}),
        refusal="Malformed",
    ),
    Rule("no_entries", build([]), refusal="NotACheckpoint"),
    Rule(
        "on_disk_differs",
        build(checkpoint(), end={"on_disk": 2}),
        refusal="Unsupported",
    ),
    Rule(
        "disk_one_of_none", build(checkpoint(), end={"disk": 1}), refusal="Unsupported"
    ),
    Rule(
        "directory_outside",
        build(checkpoint(), end={"offset": 999}),
        refusal="Malformed",
    ),
    Rule(
        "directory_elsewhere",
        build(checkpoint(), end={"offset": 30}),
        refusal="Malformed",
    ),
    Rule(
        "directory_longer",
        build(
            checkpoint({"data/0": TEN}),
            between=b"more",
            end={"size": len(directory(PLAIN)) + 4},
        ),
        FOUND,
    ),
    Rule(
        "last_entry_cut",
        build(
            [*checkpoint(), Entry(b"archive/x", comment=b"c" * 90)], end={"size": 250}
        ),
        refusal="Malformed",
    ),
)

END64: Final = (
    Rule("zip64_end", build(checkpoint({"data/0": TEN}), end64={}), FOUND),
    Rule(
        "zip64_end_wins",
        build(checkpoint({"data/0": TEN}), end64={}, end={"disk": 7, "count": 0}),
        FOUND,
    ),
    Rule(
        "zip64_locator_not_next_to_the_end",
        build(checkpoint({"data/0": TEN}), end64={"disk": 7}, between=b"x"),
        FOUND,
    ),
    Rule(
        "zip64_locator_without_signature",
        build(
            checkpoint({"data/0": TEN}),
            end64={"disk": 7},
            locator={"signature": b"PK\6\6"},
        ),
        FOUND,
    ),
    Rule(
        "zip64_end_without_signature",
        build(checkpoint({"data/0": TEN}), end64={"signature": b"PK\1\2", "disk": 7}),
        FOUND,
    ),
    Rule(
        "zip64_locator_leads_outside",
        build(checkpoint(), locator={"offset": 1 << 40}),
        refusal="Malformed",
    ),
    Rule(
        "zip64_end_short",
        build(checkpoint(), end64={"record_size": 43}),
        refusal="Malformed",
    ),
    Rule(
        "zip64_disks", build(checkpoint(), locator={"disks": 0}), refusal="Unsupported"
    ),
    Rule(
        "zip64_count_huge",
        build(checkpoint(), end64={"count": 1 << 32, "on_disk": 1 << 32}),
        refusal="Unsupported",
    ),
    Rule(
        "zip64_directory_huge",
        build(checkpoint(), end64={"size": 1 << 32}),
        refusal="Unsupported",
    ),
    Rule(
        "zip64_directory_wraps",
        build(checkpoint(), end64={"offset": (1 << 64) - 10}),
        refusal="Malformed",
    ),
    Rule("directory_in_front", in_front()[0], FOUND, start=in_front()[1]),
    Rule(
        "all_zip64",
        build([*checkpoint(), Entry(b"archive/data/0", TEN, zip64=True)]),
        FOUND,
    ),
)

ENTRY: Final = (
    Rule(
        "entry_without_signature",
        one(central={"signature": b"PK\3\4"}),
        refusal="Malformed",
    ),
    Rule("stored_sizes_differ", one(central={"usize": 9}), refusal="Malformed"),
    Rule(
        "stored_sizes_differ_by_date",
        one(central={"usize": 9, "date": 1}),
        refusal="Malformed",
    ),
    # miniz reads the method as 32 bits here, the time along with it.
    Rule(
        "stored_shorter_by_time",
        one(central={"usize": 9, "time": 1}),
        {"data/0": TEN[:9]},
    ),
    Rule(
        "stored_longer_by_time",
        one(central={"usize": 14, "time": 1}),
        {"data/0": TEN + b"PK\1\2"},
    ),
    Rule(
        "stored_past_the_file_by_time",
        one(central={"usize": 999, "time": 1}),
        {"data/0": "Malformed"},
    ),
    Rule(
        "bytes_out_of_nothing",
        one(b"", central={"usize": 1}, method=8, packed=b""),
        refusal="Malformed",
    ),
    Rule("header_outside", one(central={"offset": 1 << 20}), refusal="Malformed"),
    Rule(
        "packed_size_outside",
        one(central={"csize": 1 << 20}, method=8),
        refusal="Malformed",
    ),
    Rule("masked", one(central={"flags": 0x2000}), refusal="Malformed"),
    Rule("entry_on_disk_one", one(central={"disk": 1}), FOUND),
    Rule("entry_on_disk_two", one(central={"disk": 2}), refusal="Malformed"),
    Rule("entry_on_no_disk", one(central={"disk": 0xFFFF}), refusal="Malformed"),
    Rule(
        "all_on_disk_one",
        build(
            [Entry(e.name, e.data, central={"disk": 1}) for e in checkpoint()],
            end={"disk": 1, "directory_disk": 1},
        ),
        {"data.pkl": NONE},
    ),
    Rule("encrypted", one(central={"flags": 1}), {"data/0": "Unsupported"}),
    Rule("patch", one(central={"flags": 0x20}), {"data/0": "Unsupported"}),
    Rule("strongly_encrypted", one(central={"flags": 0x40}), {"data/0": "Unsupported"}),
    Rule("method_unknown", one(central={"method": 99}), {"data/0": "Unsupported"}),
    Rule(
        "method_unknown_of_nothing",
        one(b"", central={"method": 1}),
        {"data/0": "Unsupported"},
    ),
    Rule("other_flags", one(central={"flags": 0xDF9E}), FOUND),
    Rule("crc_wrong", one(central={"crc": 1}), FOUND),
    Rule(
        "symbolic_link", one(central={"made_by": 0x31E, "external": 0xA1FF0000}), FOUND
    ),
    Rule("comment_of_an_entry", one(comment=b"hello"), FOUND),
    Rule("dos_directory", one(central={"external": 0x10}), {"data/0": "Uninitialised"}),
    Rule(
        "dos_directory_of_nothing",
        one(b"", central={"external": 0x10}),
        {"data/0": b""},
    ),
    Rule(
        "directory_by_name",
        build(checkpoint({"data/": TEN, "code/": b""})),
        {"data/": "Uninitialised", "code/": b""},
    ),
    # Sizes in extra fields.
    Rule(
        "full_without_extra_field",
        one(central={"csize": FULL, "usize": FULL}),
        {"data/0": "Malformed"},
    ),
    Rule(
        "full_size_of_nothing",
        one(b"", central={"usize": FULL}),
        {"data/0": "Uninitialised"},
    ),
    Rule("extra_field_broken_but_not_needed", one(central_extra=b"abc"), FOUND),
    Rule("zip64_field_not_needed", one(central_extra=zip64(1, 1, 1)), FOUND),
    Rule(
        "extra_field_broken",
        one(central={"usize": FULL}, central_extra=b"abc"),
        refusal="Malformed",
    ),
    Rule(
        "extra_field_too_long",
        one(central={"usize": FULL}, central_extra=extra(7, b"7")[:-1]),
        refusal="Malformed",
    ),
    Rule(
        "zip64_offset_only",
        one(central={"offset": FULL}, central_extra=zip64(PLAIN.rindex(b"PK\3\4"))),
        FOUND,
    ),
    Rule(
        "zip64_field_after_another",
        one(central={"usize": FULL}, central_extra=extra(7, b"7") + zip64(10)),
        FOUND,
    ),
    Rule(
        "zip64_field_missing",
        one(central={"csize": FULL}, central_extra=extra(7, b"7")),
        {"data/0": "Malformed"},
    ),
    Rule(
        "zip64_field_short_in_a_record",
        one(central={"usize": FULL, "csize": FULL}, central_extra=zip64(10)),
        {"data/0": "Malformed"},
    ),
    Rule(
        "zip64_number_behind_the_field",
        one(
            central={"usize": FULL, "csize": FULL},
            central_extra=zip64(10) + (11).to_bytes(8, "little"),
        ),
        refusal="Malformed",
    ),
    Rule(
        "nothing_at_an_offset_that_wraps",
        one(b"", central={"offset": FULL}, central_extra=zip64((1 << 64) - 30)),
        {"data/0": b""},
    ),
    Rule(
        "record_at_an_offset_that_wraps",
        one(central={"offset": FULL}, central_extra=zip64((1 << 64) - 40)),
        {"data/0": "Malformed"},
    ),
    Rule("record_in_front", record_in_front()[0], FOUND, start=record_in_front()[1]),
)

LOCAL: Final = (
    Rule(
        "local_header_without_signature",
        one(local={"signature": b"PK\1\2"}),
        {"data/0": "Malformed"},
    ),
    Rule(
        "local_header_of_nothing",
        one(b"", local={"signature": b"PK\1\2"}),
        {"data/0": b""},
    ),
    Rule("local_name_differs", one(local_name=b"else"), FOUND),
    Rule("local_extra_field", one(local_extra=b"anything"), FOUND),
    Rule("local_method_differs", one(local={"method": 99}), FOUND),
    Rule("local_flags_differ", one(local={"flags": 0xFFFF}), FOUND),
    Rule("local_sizes_differ", one(local={"csize": 1, "usize": 2, "crc": 3}), FOUND),
    Rule(
        "local_name_length_shifts",
        one(local={"name_length": 16}),
        {"data/0": TEN[2:] + b"PK"},
    ),
    Rule(
        "local_extra_length_outside",
        one(local={"extra_length": 9999}),
        {"data/0": "Malformed"},
    ),
    Rule("descriptor", one(descriptor=4), FOUND),
    Rule("descriptor_of_64_bits", one(descriptor=8), FOUND),
    Rule("aligned", one(alignment=4096), FOUND),
    Rule("junk_between_records", one(junk=b"PK\3\4PK\1\2"), FOUND),
    Rule(
        "two_names_for_one_record",
        one(in_file=False, central={"offset": 0, "csize": 4, "usize": 4}),
        {"data/0": NONE},
    ),
)

DEFLATE: Final = (
    Rule("deflated", one(LONG, method=DEFLATED), {"data/0": LONG}),
    Rule("deflated_in_chunks", one(NOISE, method=DEFLATED), {"data/0": NOISE}),
    Rule(
        "deflated_stored_block",
        one(packed=b"\1\n\0\xf5\xff" + TEN, method=DEFLATED),
        FOUND,
    ),
    Rule(
        "deflated_more_than_said",
        one(LONG, method=DEFLATED, central={"usize": 10}),
        {"data/0": TEN},
    ),
    Rule(
        "deflated_more_than_nothing",
        one(LONG, method=DEFLATED, central={"usize": 0}),
        {"data/0": b""},
    ),
    Rule(
        "deflated_less_than_said",
        one(method=DEFLATED, central={"usize": 11}),
        {"data/0": "Malformed"},
    ),
    Rule(
        "deflated_with_junk_behind",
        one(method=DEFLATED, packed=deflate(TEN) + LONG),
        FOUND,
    ),
    Rule(
        "deflated_without_an_end", one(method=DEFLATED, packed=deflate(TEN)[:-1]), FOUND
    ),
    Rule(
        "deflated_and_cut",
        one(method=DEFLATED, packed=deflate(TEN)[:5]),
        {"data/0": "Malformed"},
    ),
    Rule(
        "deflated_and_broken",
        one(method=DEFLATED, packed=b"\xff"),
        {"data/0": "Malformed"},
    ),
    # Packed size 2^64-600: miniz reads chunks until the stream ends.
    Rule(
        "deflated_to_the_end_of_numbers",
        build(
            [
                *checkpoint(),
                Entry(b"archive/junk", b"j" * 1000),
                Entry(
                    b"archive/data/0",
                    TEN,
                    DEFLATED,
                    central={"csize": FULL},
                    central_extra=zip64((1 << 64) - 600),
                ),
            ],
            gap=bytes(1 << 16),
        ),
        FOUND,
    ),
    Rule(
        "deflated_to_the_end_of_a_small_file",
        build(
            [
                *checkpoint(),
                Entry(b"archive/junk", b"j" * 1000),
                Entry(
                    b"archive/data/0",
                    TEN,
                    DEFLATED,
                    central={"csize": FULL},
                    central_extra=zip64((1 << 64) - 600),
                ),
            ]
        ),
        {"data/0": "Malformed"},
    ),
)

FOLDED: Final = {"data.pkl": NONE, "DATA.PKL": NONE, "Data.Pkl": NONE}
NAMES: Final = (
    Rule("case_does_not_count", PLAIN, FOLDED),
    Rule(
        "upper_case",
        build(entries({"DATA.PKL": NONE, "Version": b"3", "BYTEORDER": b"little"})),
        FOLDED,
    ),
    Rule(
        "case_beyond_ascii_counts",
        build(checkpoint({"d\xc4": TEN})),
        {"D\xc4": TEN, "d\xe4": "Malformed"},
    ),
    *(
        Rule(f"{count}_copies", copies(count), {"data.pkl": b"\x80\x02K%c." % winner})
        for count, winner in enumerate((0, 2, 3, 3, 4, 4, 5), start=2)
    ),
    Rule(
        "copies_in_two_cases",
        build(checkpoint({"data/0": TEN, "Data/0": TEN[::-1], "x": b""})),
        {"data/0": TEN, "DATA/0": TEN},
    ),
    Rule("missing", PLAIN, {"data/1": "Malformed", "0": "Malformed", "": "Malformed"}),
    Rule("nul_in_a_question", PLAIN, {"data/0\0anything": TEN}),
    Rule("surrogate_in_a_question", PLAIN, {"data/\ud800": "Malformed"}),
    Rule(
        "nul_in_a_name", build(checkpoint({"data/0\0": TEN})), {"data/0": "Malformed"}
    ),
    Rule(
        "another_folder", build([*checkpoint(), Entry(b"else/x")]), refusal="Malformed"
    ),
    Rule(
        "another_case_of_the_folder",
        build([*checkpoint(), Entry(b"Archive/x")]),
        refusal="Malformed",
    ),
    Rule(
        "first_in_no_folder",
        build([Entry(b"data.pkl", NONE), *checkpoint()]),
        refusal="NotACheckpoint",
    ),
    Rule("folder_of_no_name", build(checkpoint({"data/0": TEN}, root="")), FOUND),
    Rule(
        "folder_in_folder",
        build(checkpoint({"data/0": TEN}, root="a/b")),
        refusal="NotACheckpoint",
    ),
    Rule(
        "folder_not_utf8",
        build(
            [
                Entry(e.name.replace(b"a", b"\xff"), e.data)
                for e in entries({"version": b"3"})
            ]
        ),
        {"version": b"3"},
    ),
    Rule("folder_with_nul", build(checkpoint(root="a\0b")), refusal="NotACheckpoint"),
    Rule(
        "backslash", build([*checkpoint(), Entry(b"archive\\x")]), refusal="Malformed"
    ),
    Rule(
        "name_not_utf8",
        build([*checkpoint(), Entry(b"archive/\xff")]),
        refusal="Malformed",
    ),
    Rule(
        "name_not_utf8_where_cut",
        build([*checkpoint(), Entry(b"archive/" + b"n" * 503 + b"\xff")]),
        {"n" * 503: "Malformed"},
    ),
    Rule(
        "name_cut_in_a_letter",
        build(checkpoint({"n" * 502 + "\xe4": TEN})),
        refusal="Malformed",
    ),
    Rule(
        "name_long",
        build(checkpoint({"n" * 600: TEN})),
        {"n" * 600: TEN, "n" * 503: "Malformed"},
    ),
)

VERSION: Final = (
    *(
        Rule(f"version_{i}", with_version(text), {"version": text})
        for i, text in enumerate(
            [
                *(b"1", b"10", b"3\n", b" \t\n\v\f\r3", b"3junk", b"+3", b"3\0junk"),
                # Negative numbers wrap, and zeros in front are free.
                *(b"-18446744073709551615", b"0" * 5000 + b"3"),
            ]
        )
    ),
    *(
        Rule(f"version_{i}_not_read", with_version(text), refusal="Unsupported")
        for i, text in enumerate([b"0", b"11", b"-1", b"0x3", b"4294967299", b"-0"])
    ),
    *(
        Rule(f"version_{i}_not_a_number", with_version(text), refusal="Malformed")
        for i, text in enumerate(
            [b"", b"\0", b"three", b"--3", b"- 3", b"18446744073709551619", b"1" * 99]
        )
    ),
    Rule(
        "version_missing", build(entries({"data.pkl": NONE})), refusal="NotACheckpoint"
    ),
    Rule(
        "version_unreadable",
        build([*entries({"data.pkl": NONE}), Entry(b"archive/version", b"3", 1)]),
        refusal="Unsupported",
    ),
    Rule(
        "version_in_data_wins",
        build(entries({"version": b"99", ".data/version": b"3"})),
        {"version": b"99"},
    ),
    Rule(
        "serialization_id_unreadable",
        build([*checkpoint(), Entry(b"archive/.data/serialization_id", b"1", 1)]),
        refusal="Unsupported",
    ),
)

#: DEFLATE streams that zlib refuses, and what torch makes of them: it never
#: asks miniz whether it could inflate.
LENIENT: Final = {
    # A stored block with all the bytes, then a block of no known kind.
    "wrong_behind_the_last_byte": (b"\0\n\0\xf5\xff" + TEN + b"\7", TEN),
    # Literals, with the length code 286 among them, which stands for nothing.
    "unknown_length_code": (b"30426153\x1f\x03\x16\x96\0", TEN),
    # A dynamic block in which no symbol has a code.
    "no_codes": (b"\5" + bytes(12), bytes(10)),
}

RULES: Final = (*END, *END64, *ENTRY, *LOCAL, *DEFLATE, *NAMES, *VERSION)
