"""Files that are no exports we read, known by their content: each is said with the way to one that is.

A file is refused only where its first bytes cannot be those of a CSV or JSON file.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from batchrunner.errors import SourceError
from batchrunner.sources.files import os_errors

_AS_TABLE = "save it as .xlsx or CSV and name that"
_UNPACK = "unpack it and name the file in it"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PIECE = 1 << 20
_MOST_PIECES = 64
"""Of an old Office file, whose directory may lie anywhere."""
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "is a PDF, which is made to be read by people", "export the table itself as CSV or .xlsx and name that"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "is a RAR archive", _UNPACK),
    (b"SQLite format 3\0", "is a SQLite database", "export the table from it as CSV and name that"),
    (b"{\\rtf", "is a Rich Text document", _AS_TABLE),
)
_PAGE = re.compile(rb"(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|meta|table|body)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(rb"<\?xml\b[^>]*>")
_OF_ZIPS: tuple[tuple[str, str, str], ...] = (
    ("xl/workbook.bin", "is a binary Excel workbook (.xlsb)", f"open it in Excel, {_AS_TABLE}"),
    ("word/document.xml", "is a Word document", f"copy its table into a spreadsheet, {_AS_TABLE}"),
    ("Index/Document.iwa", "is a document of Apple Numbers", "export it from there as Excel or CSV and name that"),
    ("Index.zip", "is a document of Apple Numbers", "export it from there as Excel or CSV and name that"),
    ("content.xml", "is an OpenDocument file (.ods)", f"open it in LibreOffice or Excel, {_AS_TABLE}"),
)
_TAR_AT = 257


def must_not_be_strange(path: Path, head: bytes) -> None:
    """Raise SourceError for a file that begins like something we do not read."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, is_what, do_what in _STARTS:
        if head.startswith(start):
            raise SourceError(f"{path}: {is_what}; {do_what}")
    if head.startswith(_OLD_OFFICE):
        raise SourceError(f"{path}: {_old_office(path)}")
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise SourceError(f"{path}: is a tar archive; {_UNPACK}")
    if _PAGE.match(text):
        raise SourceError(
            f"{path}: is a web page (HTML), which some CRMs give out as an Excel file; open it in Excel or a browser, "
            f"{_AS_TABLE}"
        )
    if _XML.match(text):
        what = "an Excel table in XML" if b"office:spreadsheet" in head or b"Excel.Sheet" in head else "XML"
        raise SourceError(f"{path}: is {what}, which is not read; open it in Excel, {_AS_TABLE}")


def must_not_be_another_office_file(path: Path) -> None:
    """Raise SourceError for a zip that is a document of a program."""
    with os_errors(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            return  # it is said by who reads it
    documents = "[Content_Types].xml" in names or "mimetype" in names or "Index/Document.iwa" in names
    for member, is_what, do_what in _OF_ZIPS if documents or "Index.zip" in names else ():
        if member in names:
            raise SourceError(f"{path}: {is_what}; {do_what}")


def _old_office(path: Path) -> str:
    """What is in a file of old Office, by the names in its directory."""
    if _holds(path, "EncryptedPackage"):
        return "is an Excel workbook locked by a password; open it in Excel, take it off, and save it again"
    if _holds(path, "Workbook") or _holds(path, "Book"):
        return f"is an old Excel workbook (.xls); open it in Excel or LibreOffice, {_AS_TABLE}"
    return f"is a file of an old Office program; open it there, {_AS_TABLE}"


def _holds(path: Path, name: str) -> bool:
    wanted = (name + "\0").encode("utf-16-le")
    before = b""
    with os_errors(path), path.open("rb") as file:
        for _ in range(_MOST_PIECES):
            piece = file.read(_PIECE)
            if wanted in before + piece:
                return True
            before = piece[-len(wanted) :]
            if not piece:
                return False
    return False
