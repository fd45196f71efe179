"""Archives of strangers: bombs are recognised before they go off, and names in them are never paths."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from batchrunner.config import SourceTable
from batchrunner.errors import SourceError
from batchrunner.sources import open_source, packed, workbooks

FREE_BYTES = 1 << 19
ROWS = b"email\n" + b"a@b.cz\n" * 300_000


def zipped(**members: bytes) -> bytes:
    """A zip with these members."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda content: zipped(**{"people.csv": content}),
}


def read(path: Path, **options: str) -> list[tuple[str, ...] | str]:
    """The records of a source."""
    reader = open_source(path, SourceTable(path=str(path), encoding="utf-8", **options), chunk_rows=1_000)
    return [row.record for chunk in reader.chunks() for row in chunk.rows]


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_bomb_ends_in_one_sentence_before_it_has_gone_off(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What grows beyond all measure is no export: file, limit and what to do if it is one."""
    monkeypatch.setattr(packed, "FREE_BYTES", FREE_BYTES)
    path = tmp_path / "bomb.bin"
    path.write_bytes(PACKINGS[packing](ROWS))
    assert len(ROWS) > packed.MOST_TIMES * path.stat().st_size
    with pytest.raises(SourceError, match=r"decompression bombs do and exports do not; .*unpack it"):
        read(path, format="csv")


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_same_rows_are_read_whole_where_they_are_few_enough(packing: str, tmp_path: Path) -> None:
    """Up to 128 MiB a file may be as repetitive as it likes."""
    path = tmp_path / "people.bin"
    path.write_bytes(PACKINGS[packing](ROWS))
    assert len(read(path, format="csv")) == ROWS.count(b"\n") - 1
    assert packed.FREE_BYTES == 128 << 20


def test_a_workbook_that_is_a_bomb_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory tells how large it would get."""
    monkeypatch.setattr(workbooks, "FREE_BYTES", FREE_BYTES)
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(zipped(**{"xl/workbook.xml": b"<workbook/>", "xl/worksheets/sheet1.xml": b" " * 4_000_000}))
    with pytest.raises(SourceError, match=r"decompression bombs"):
        read(path)


@pytest.mark.parametrize("name", ["../outside.csv", "../../../../tmp/outside.csv", "a/../../b.csv", "..\\outside.csv"])
def test_an_archive_with_a_name_that_leads_out_of_it_is_refused(name: str, tmp_path: Path) -> None:
    """Also beside other members: whoever made it means no good, or another program."""
    path = tmp_path / "people.zip"
    path.write_bytes(zipped(**{"people.csv": b"email\nann@example.com\n", name: b"email\nbob@example.com\n"}))
    with pytest.raises(SourceError, match="leads out of the archive, as those of attacks do; nothing of it was read"):
        read(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["/etc/cron.d/outside.csv", "C:/outside.csv"])
def test_a_name_from_another_machine_is_never_a_path_on_this_one(name: str, tmp_path: Path) -> None:
    """Members are streams: it is read from the archive, and no such file is opened or made."""
    path = tmp_path / "people.zip"
    path.write_bytes(zipped(**{name: b"email\nann@example.com\n"}))
    opened: list[str] = []
    recording = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if recording[0] and event == "open":
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)  # for good: it only looks while this test goes on
    try:
        assert read(path) == [("ann@example.com",)]
    finally:
        recording[0] = False
    assert [one for one in opened if "outside" in one] == []
    assert list(tmp_path.iterdir()) == [path]


def test_a_member_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Whatever it leads to."""
    secret = tmp_path / "secret.csv"
    secret.write_text("email\nsecret@example.com\n")
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        link = zipfile.ZipInfo("link.csv")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
    path = tmp_path / "people.zip"
    path.write_bytes(content.getvalue())
    with pytest.raises(SourceError, match=r"'link.csv' is a link"):
        read(path, format="csv")
