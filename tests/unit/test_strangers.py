"""Files that are no exports we read: each is said in one sentence with the way out."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.guess import sample_of_file
from batchrunner.sources import open_source

OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def old_office(stream: str, before: int = 0) -> bytes:
    """A file of old Office with a stream of this name in its directory."""
    return OLD + bytes(before) + (stream + "\0").encode("utf-16-le") + bytes(64)


def zipped(*members: str) -> bytes:
    """A zip with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member in members:
            archive.writestr(member, "email\na@example.com\n")
    return file.getvalue()


def tarred() -> bytes:
    """A tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("export.csv"))
    return file.getvalue()


def locked_zip() -> bytes:
    """A zip whose member says that it is encrypted, in its header and in the directory."""
    whole = bytearray(zipped("export.csv"))
    whole[6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    return bytes(whole)


STRANGERS: dict[str, tuple[bytes, str]] = {
    "old.xls": (old_office("Workbook"), r"is an old Excel workbook \(\.xls\); .*save it as \.xlsx or CSV"),
    "older.xls": (old_office("Book"), r"is an old Excel workbook \(\.xls\); .*save it as \.xlsx or CSV"),
    "far.xls": (old_office("Workbook", before=(1 << 20) - 512 - 7), "is an old Excel workbook"),
    "locked.xlsx": (
        old_office("EncryptedPackage"),
        "is an Excel workbook locked by a password; .*take it off",
    ),
    "old.doc": (old_office("WordDocument"), "is a file of an old Office program"),
    "binary.xlsb": (zipped("[Content_Types].xml", "xl/workbook.bin"), r"is a binary Excel workbook \(\.xlsb\)"),
    "table.ods": (zipped("mimetype", "content.xml"), r"is an OpenDocument file \(\.ods\); .*save it as \.xlsx or CSV"),
    "table.numbers": (
        zipped("Index/Document.iwa"),
        "is a document of Apple Numbers; export it .* as Excel or CSV",
    ),
    "letter.docx": (zipped("[Content_Types].xml", "word/document.xml"), "is a Word document"),
    "slides.pptx": (zipped("[Content_Types].xml", "ppt/presentation.xml"), "is an Office file"),
    "report.pdf": (b"%PDF-1.7\n%\xe2\xe3", r"is a PDF, .*export the table itself as CSV or \.xlsx"),
    "page.xls": (b"\xef\xbb\xbf\n<HTML><body><table><tr><td>", r"is a web page \(HTML\).*save it as \.xlsx or CSV"),
    "table.xls": (b"<table border=1><tr><td>Email", r"is a web page \(HTML\)"),
    "xml.xls": (
        b'<?xml version="1.0"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        "is an Excel table in XML",
    ),
    "feed.xml": (b'<?xml version="1.0"?><clients/>', "is XML, which is not read"),
    "a.rar": (b"Rar!\x1a\x07\x01\x00", "is a RAR archive; unpack it and name the file in it"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "is a 7-Zip archive; unpack it and name the file in it"),
    "a.tar": (tarred(), "is a tar archive; unpack it and name the file in it"),
    "a.db": (b"SQLite format 3\x00", "is a SQLite database; export the table"),
    "a.rtf": (b"{\\rtf1\\ansi", "is a Rich Text document"),
    "locked.zip": (locked_zip(), "'export.csv' is locked by a password; unpack it and name the file"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_that_is_not_read_is_said_with_the_way_out(tmp_path: Path, name: str) -> None:
    """By `init` and by `run` alike; the sentence names the file first."""
    content, sentence = STRANGERS[name]
    path = tmp_path / name
    path.write_bytes(content)
    for read in (sample_of_file, lambda path: open_source(path, SourceTable(path=str(path)))):
        with pytest.raises(SourceError, match=sentence) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"<b>,email\n1,a@example.com\n", b"\xd0\xcf,email\n1,a@example.com\n", b"%,email\n1,a@example.com\n"],
)
def test_a_csv_file_that_begins_oddly_is_read_all_the_same(tmp_path: Path, content: bytes) -> None:
    """Nothing is refused that could be an export."""
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    [chunk] = open_source(path, SourceTable(path=str(path), encoding="latin-1")).chunks()
    assert chunk.texts("email") == ["a@example.com"]


def test_a_zip_with_a_file_called_content_is_an_ordinary_zip(tmp_path: Path) -> None:
    """Only together with what documents have is it one."""
    path = tmp_path / "a.zip"
    path.write_bytes(zipped("content.xml"))
    [chunk] = open_source(path, SourceTable(path=str(path))).chunks()
    assert chunk.texts("email") == ["a@example.com"]
