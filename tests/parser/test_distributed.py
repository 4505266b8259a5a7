"""Folders of torch.distributed.checkpoint, and single `.distcp` files."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.parser import (
    CheckpointError,
    Malformed,
    NotACheckpoint,
    Object,
    Size,
    Tensor,
    Trace,
    Truncated,
    Unsupported,
    load,
)
from tests.builders import zips
from tests.builders.checkpoints import dump, zipped
from tests.builders.distributed import (
    Piece,
    folder,
    matrix,
    size,
    tensor_of,
    whole_object,
)
from tests.builders.plain import plain

WHOLE = tensor_of(size(2, 3), (size(0, 0), size(2, 3)))
FIVE = zipped(5)
W = Piece("w", matrix(2, 3), offsets=size(0, 0))
STEP = Piece("step", FIVE, "__0_1.distcp")


def test_a_folder(tmp_path: Path) -> None:
    described = {"model.w": WHOLE, "step": whole_object()}
    first = Piece("model.w", matrix(2, 3), offsets=size(0, 0))
    trace = Trace()
    found = load(folder(tmp_path, described, first, STEP), trace=trace)
    assert plain(found) == {"model.w": [[0, 1, 2], [3, 4, 5]], "step": 5}
    assert list(found) == ["model.w", "step"]
    assert trace.containers == ["distributed", "pickle", "zip", "zip"]
    assert trace.storages == 1


def test_several_pieces_in_a_file(tmp_path: Path) -> None:
    step = Piece("step", FIVE)
    described = {"w": WHOLE, "step": whole_object()}
    found = load(os.fspath(folder(tmp_path, described, step, W)))
    assert plain(found) == {"w": [[0, 1, 2], [3, 4, 5]], "step": 5}


def test_a_tensor_in_several_pieces(tmp_path: Path) -> None:
    described = {
        "w": tensor_of(size(3, 3), (size(0, 0), size(2, 3)), (size(2, 0), size(1, 3)))
    }
    last = Piece("w", matrix(1, 3, 6), "__1_0.distcp", offsets=size(2, 0))
    found = load(folder(tmp_path, described, last, W))["w"]
    assert isinstance(found, Object)
    assert found.name == "torch.distributed.checkpoint.metadata.TensorStorageMetadata"
    assert found.state["size"] == Size((3, 3))
    assert plain(found.state["chunks"]) == [
        ((0, 0), [[0, 1, 2], [3, 4, 5]]),
        ((2, 0), [[6, 7, 8]]),
    ]


def test_a_piece_of_a_tensor_is_no_whole(tmp_path: Path) -> None:
    described = {"w": tensor_of(size(9, 3), (size(4, 0), size(2, 3)))}
    piece = Piece("w", matrix(2, 3), offsets=size(4, 0))
    found = load(folder(tmp_path, described, piece))["w"]
    assert plain(found.state["chunks"]) == [((4, 0), [[0, 1, 2], [3, 4, 5]])]


def test_weights_only_is_about_the_pieces(tmp_path: Path) -> None:
    """The `.metadata` itself is full of classes that are not on the list."""
    held = zipped({"day": datetime.date(2020, 1, 2)})
    path = folder(tmp_path, {"x": whole_object()}, Piece("x", held))
    assert load(path, weights_only=False)["x"]["day"].year == 2020
    with pytest.raises(CheckpointError) as refused:
        load(path)
    assert refused.value.kind == "GlobalNotAllowed"


def placed(**fields: Any) -> Piece:
    return Piece("w", W.archive, offsets=size(0, 0), placed=fields)


ONLY_W = {"w": WHOLE}
ONLY_STEP = {"step": whole_object()}
END = len(W.archive)

WRONG: dict[str, tuple[dict[Any, Any], tuple[Piece, ...], type, str]] = {
    **{
        f"a path {path!r}": (
            ONLY_W,
            (placed(relative_path=path),),
            Malformed,
            "that is not there",
        )
        for path in (
            "../outside.pt",
            "/etc/passwd",
            "./__0_0.distcp",
            "deeper",
            "deeper/inside.pt",
            "__0_7.distcp",
            "..",
            ".",
            "",
            "a\0b",
        )
    },
    "a path of bytes": (
        ONLY_W,
        (placed(relative_path=b"__0_0.distcp"),),
        Malformed,
        "without relative_path",
    ),
    "a length beyond the file": (
        ONLY_W,
        (placed(length=END + 1),),
        Truncated,
        "reaches beyond",
    ),
    "an offset beyond the file": (
        ONLY_W,
        (placed(offset=1 << 70),),
        Truncated,
        "reaches beyond",
    ),
    "a negative offset": (
        ONLY_W,
        (placed(offset=-1),),
        Truncated,
        "reaches beyond",
    ),
    "a negative length": (
        ONLY_W,
        (placed(length=-1),),
        Truncated,
        "reaches beyond",
    ),
    "an offset of text": (ONLY_W, (placed(offset="0"),), Malformed, "without offset"),
    "a length of bool": (ONLY_W, (placed(length=True),), Malformed, "without length"),
    "a length cut short": (
        ONLY_W,
        (placed(length=END - 1),),
        Truncated,
        "in '__0_0.distcp'",
    ),
    "an empty piece": (
        ONLY_W,
        (placed(length=0),),
        NotACheckpoint,
        "empty, in '__0_0.distcp'",
    ),
    "a packed piece": (
        ONLY_W,
        (placed(transform_descriptors=["zstd"]),),
        Unsupported,
        "are packed",
    ),
    "a packed piece, if anybody asked": (
        ONLY_W,
        (placed(transform_descriptors=np.array([0, 1])),),
        Unsupported,
        "are packed",
    ),
    "pieces that overlap": (
        {**ONLY_W, "v": WHOLE},
        (
            W,
            Piece("v", b"", offsets=size(0, 0), placed={"offset": 0, "length": END}),
        ),
        Malformed,
        "'__0_0.distcp' overlap",
    ),
    "a tensor that no file holds": (
        {**ONLY_W, "v": WHOLE},
        (W,),
        Malformed,
        "the pieces of 'v' are not those",
    ),
    "an object that no file holds": (
        {**ONLY_W, **ONLY_STEP},
        (W,),
        Malformed,
        "'step' is placed 0 times",
    ),
    "an object that is held twice": (
        ONLY_STEP,
        (STEP, STEP),
        Malformed,
        "'step' is placed 2 times",
    ),
    "a piece that nothing describes": (ONLY_STEP, (STEP, W), Malformed, "places 'w'"),
    "a piece without a name": (
        ONLY_STEP,
        (Piece([1], FIVE),),
        Malformed,
        "without fqn",
    ),
    "a piece more than announced": (
        ONLY_W,
        (W, Piece("w", matrix(1, 3), offsets=size(1, 0))),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "the same piece twice": (
        ONLY_W,
        (W, W),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "a piece less than announced": (
        {
            "w": tensor_of(
                size(3, 3), (size(0, 0), size(2, 3)), (size(2, 0), size(1, 3))
            )
        },
        (W,),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "a piece of another size": (
        ONLY_W,
        (Piece("w", matrix(3, 2), offsets=size(0, 0)),),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "a piece that is no tensor": (
        ONLY_W,
        (Piece("w", FIVE, offsets=size(0, 0)),),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "a piece without an offset": (
        ONLY_W,
        (Piece("w", W.archive),),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "a piece at a tuple": (
        ONLY_W,
        (Piece("w", W.archive, offsets=(0, 0)),),
        Malformed,
        "the pieces of 'w' are not those",
    ),
    "a piece outside of its tensor": (
        {"w": tensor_of(size(2, 3), (size(1, 0), size(2, 3)))},
        (Piece("w", W.archive, offsets=size(1, 0)),),
        Malformed,
        "lies outside",
    ),
    "a piece of other dimensions": (
        {"w": tensor_of(size(6), (size(0, 0), size(2, 3)))},
        (W,),
        Malformed,
        "lies outside",
    ),
    "an offset of other dimensions": (
        {"w": tensor_of(size(2, 3), (size(0), size(2, 3)))},
        (Piece("w", W.archive, offsets=size(0)),),
        Malformed,
        "lies outside",
    ),
    "a tensor of negative size": (
        {"w": tensor_of(size(-2, 3), (size(0, 0), size(2, 3)))},
        (W,),
        Malformed,
        "size that no tensor has",
    ),
    "a tensor of many dimensions": (
        {"w": tensor_of(size(*[1] * 65), (size(0, 0), size(2, 3)))},
        (W,),
        Malformed,
        "size that no tensor has",
    ),
    "a tensor whose size is a tuple": (
        {"w": tensor_of((2, 3), (size(0, 0), size(2, 3)))},
        (W,),
        Malformed,
        "without size",
    ),
    "a description that is none": ({"w": 1}, (W,), Malformed, "a int without size"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str, tmp_path: Path) -> None:
    described, pieces, kind, message = WRONG[name]
    (tmp_path / "outside.pt").write_bytes(W.archive)
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / "deeper" / "inside.pt").write_bytes(W.archive)
    path = folder(tmp_path / "in", described, *pieces)
    with pytest.raises(kind, match=message) as refused:
        load(path)
    assert type(refused.value) is kind


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"state_dict_metadata": []}, "without state_dict_metadata"),
        ({"storage_data": None}, "without storage_data"),
        ({"storage_data": {1: 2}}, "a int without fqn"),
    ],
    ids=str,
)
def test_a_wrong_metadata(
    metadata: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(Malformed, match=message):
        load(folder(tmp_path, ONLY_W, W, **metadata))


@pytest.mark.parametrize(
    ("data", "kind"),
    [(dump({"a": 1}), Malformed), (b"", Truncated), (dump([])[:-1], Truncated)],
    ids=["another tree", "nothing", "cut short"],
)
def test_another_metadata(data: bytes, kind: type, tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(data)
    with pytest.raises(kind, match=r"in '\.metadata'"):
        load(tmp_path)


def test_a_folder_without_metadata(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(W.archive)
    (tmp_path / ".metadata").mkdir()
    with pytest.raises(NotACheckpoint, match="give the file inside it"):
        load(tmp_path)


def test_a_pipe_in_a_folder_is_no_file_of_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Malformed, match="that is not there"):
        load(folder(tmp_path, ONLY_W, placed(relative_path="pipe")))


def test_errors_say_in_which_file_and_where(tmp_path: Path) -> None:
    wrong = zips.build(zips.checkpoint({"data.pkl": b"\x80\x02\xff"}))
    described = {"x": whole_object(), "y": whole_object()}
    path = folder(tmp_path, described, Piece("y", FIVE), Piece("x", wrong))
    with pytest.raises(Malformed, match=r"in '__0_0\.distcp'") as refused:
        load(path)
    assert refused.value.offset is not None
    data = (path / "__0_0.distcp").read_bytes()
    assert data[refused.value.offset] == 0xFF


# ------------------------------------------------------------------ single files


def distcp(path: Path, *archives: bytes) -> Path:
    file = path / "__0_0.distcp"
    file.write_bytes(b"".join(archives))
    return file


def test_a_single_file(tmp_path: Path) -> None:
    trace = Trace()
    found = load(distcp(tmp_path, W.archive, FIVE, W.archive), trace=trace)
    assert plain(found) == [[[0, 1, 2], [3, 4, 5]], 5, [[0, 1, 2], [3, 4, 5]]]
    assert trace.containers == ["distcp", "zip", "zip", "zip"]


LISTED = zips.checkpoint({"data.pkl": dump("PK\5\6" + "\0" * 18 + "PK\5\6")})

ARCHIVES = {
    "with a zip64 end record": zips.build(LISTED, end64={}),
    "with a comment": zips.build(LISTED, comment=b"a comment"),
    "with both": zips.build(LISTED, comment=b"PK\5\6", end64={}),
    "with a locator that leads nowhere in between": zips.build(
        [
            *LISTED,
            zips.Entry(b"archive/x", b"PK\6\7" + bytes(16) + b"PK\5\6" + bytes(18)),
        ]
    ),
    "with a locator that leads too far in between": zips.build(
        [
            *LISTED,
            zips.Entry(b"archive/x", b"PK\6\7" + b"\xff" * 16 + b"PK\5\6" + bytes(18)),
        ]
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_where_an_archive_ends(name: str, tmp_path: Path) -> None:
    archive = ARCHIVES[name]
    text = "PK\5\6" + "\0" * 18 + "PK\5\6"
    assert load(distcp(tmp_path, archive, FIVE, archive)) == [text, 5, text]


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpoint, match="the file is empty"):
        load(distcp(tmp_path))


@pytest.mark.parametrize("between", [b"\0", b"PK\5\6", b"PK\3\4"])
def test_nothing_may_stand_between(between: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        load(distcp(tmp_path, FIVE, between))
    assert refused.value.offset == len(FIVE)


def test_a_file_cut_anywhere(tmp_path: Path) -> None:
    archive = zips.build(zips.checkpoint(), end64={})
    path = tmp_path / "x.distcp"
    for length in range(2 * len(archive)):
        path.write_bytes((archive + archive)[:length])
        if length == len(archive):
            assert load(path) == [None]
            continue
        with pytest.raises(CheckpointError):
            load(path)


def test_a_file_of_end_records_is_read_once(tmp_path: Path) -> None:
    """Each might be the one: to look from each to the end would be quadratic."""
    file = distcp(tmp_path, b"PK\3\4" + b"PK\5\6xxxxxxxxxxxxxxxxxx" * 200_000)
    with pytest.raises(Truncated, match="without an end"):
        load(file)


def test_errors_count_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    wrong = zips.build(zips.checkpoint({"data.pkl": b"\x80\x02\xff"}))
    file = distcp(tmp_path, FIVE, wrong)
    with pytest.raises(Malformed) as refused:
        load(file)
    assert refused.value.offset is not None
    assert file.read_bytes()[refused.value.offset] == 0xFF


def test_only_paths_have_names(tmp_path: Path) -> None:
    """A file object is what torch would take it for: its last archive."""
    with distcp(tmp_path, FIVE, zipped(6)).open("rb") as file:
        file.seek(len(FIVE))
        assert load(file) == 6


def test_a_folder_is_mapped(tmp_path: Path) -> None:
    found = load(folder(tmp_path, ONLY_W, W))["w"]
    assert isinstance(found, Tensor)
    assert type(found.storage.data.obj).__name__ == "mmap"  # type: ignore[union-attr]
