"""Opening, fingerprints and limits of sources. What nasty files become is on the shelf."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.ports import Reader
from batchrunner.sources import fingerprint, lines, open_source


def reader_of(path: Path, content: bytes, chunk_rows: int = 5_000, **table: str) -> Reader:
    """Write a file and open it."""
    path.write_bytes(content)
    return open_source(path, SourceTable.model_validate({"path": str(path), **table}), chunk_rows)


def codes(reader: Reader) -> Counter[str]:
    """How many records ended how."""
    counted: Counter[str] = Counter()
    for chunk in reader.chunks():
        counted.update(each.code for each in chunk.broken)
        counted["row"] += len(chunk)
    return counted


# --- which file, which format ------------------------------------------------------------------


def test_a_fingerprint_covers_the_content_and_nothing_else(tmp_path: Path) -> None:
    """The same content under another name is the same source."""
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    for path in (first, second):
        path.write_bytes(b"id\n1\n")
    assert fingerprint(first).fingerprint == fingerprint(second).fingerprint
    assert fingerprint(first).fingerprint == hashlib.blake2b(b"id\n1\n", digest_size=16).hexdigest()
    assert fingerprint(first).size_bytes == 5
    second.write_bytes(b"id\n2\n")
    assert fingerprint(first).fingerprint != fingerprint(second).fingerprint


def test_the_path_of_a_source_is_absolute_and_keeps_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person looks for the name that the job gives, not for what it points at."""
    (tmp_path / "2024-05-01.csv").write_bytes(b"id\n1\n")
    (tmp_path / "latest.csv").symlink_to("2024-05-01.csv")
    monkeypatch.chdir(tmp_path)
    assert fingerprint(Path("latest.csv")).path == str(tmp_path / "latest.csv")


@pytest.mark.parametrize(
    ("name", "declared", "columns"),
    [
        ("a.jsonl", "auto", ["a"]),
        ("a.NDJSON", "auto", ["a"]),
        ("a.json", "auto", ["a"]),
        ("a.csv", "auto", ['{"a":1}']),
        ("a.txt", "auto", ['{"a":1}']),
        ("a.txt", "jsonl", ["a"]),
        ("a.json", "csv", ['{"a":1}']),
    ],
)
def test_the_name_tells_the_format_unless_the_job_does(
    tmp_path: Path, name: str, declared: str, columns: list[str]
) -> None:
    """JSONL by suffix, CSV otherwise."""
    assert list(reader_of(tmp_path / name, b'{"a":1}\n', format=declared, quote="'").columns) == columns


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        ("\ufeffимя\nЯн\n".encode(), "cp1251"),
        ("\ufeffимя\nЯн\n".encode("utf-16-le"), "utf-8"),
        ("\ufeffимя\nЯн\n".encode("utf-16-be"), "utf-8"),
        ("\ufeffимя\nЯн\n".encode("utf-32-le"), "utf-16"),
        ("имя\nЯн\n".encode("utf-16-le"), "utf-16"),
    ],
)
def test_a_byte_order_mark_overrules_the_declared_encoding(tmp_path: Path, content: bytes, declared: str) -> None:
    """Without one, utf-16 means the order that Windows writes."""
    reader = reader_of(tmp_path / "a.csv", content, encoding=declared)
    assert list(reader.columns) == ["имя"]
    assert [row.record for chunk in reader.chunks() for row in chunk.rows] == [("Ян",)]


# --- what cannot be opened ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "table", "sentence"),
    [
        (b"", {}, "is empty"),
        (b"\n\r\n", {}, "is empty"),
        (b"\xef\xbb\xbf", {}, "is empty"),
        (b'id,"na"me\n1,2\n', {}, "line 1 has a quote"),
        (b'\n\nid,"name\n1,2\n', {}, "line 3 has a quote"),
        ("id,имя\n".encode("cp1251"), {}, "is not written in utf-8; set `encoding`"),
        (b"id\n", {"encoding": "utf-9"}, "'utf-9' is not known; set `encoding`"),
        (b"id\n", {"encoding": "hex"}, "'hex' is not known"),
        (b"id\n", {"encoding": "utf-7"}, "'utf-7' is not known"),
        (b"id\n", {"encoding": "a\0b"}, "is not known"),
        (b"id\n", {"delimiter": '"'}, "cannot be told from each other"),
        (b"id\n", {"delimiter": "\n"}, "change `delimiter`"),
    ],
)
def test_a_file_that_cannot_be_a_source_is_refused_with_the_next_step(
    tmp_path: Path, content: bytes, table: dict[str, Any], sentence: str
) -> None:
    """One sentence that names the file."""
    path = tmp_path / "crm.csv"
    with pytest.raises(SourceError) as refused:
        reader_of(path, content, **table)
    assert str(refused.value).startswith(f"{path}: ")
    assert sentence in str(refused.value)


def test_missing_files_directories_pipes_and_odd_names_are_refused(tmp_path: Path) -> None:
    """Without opening them: opening a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.csv")
    refusals = {
        "missing.csv": "no such file",
        ".": "is a directory",
        "pipe.csv": "is a pipe",
        "a\0b.csv": "not a possible file name",
        "x" * 300: "cannot be read",
    }
    for name, sentence in refusals.items():
        for opened in (fingerprint, lambda path: open_source(path, SourceTable(path=str(path)))):
            with pytest.raises(SourceError, match=sentence):
                opened(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    """The sentence speaks of permissions."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"id\n")
    path.chmod(0)
    with pytest.raises(SourceError, match="permissions"):
        fingerprint(path)


def test_an_empty_jsonl_file_has_no_rows_and_no_columns(tmp_path: Path) -> None:
    """It is to JSONL what a file with nothing but a header is to CSV: an export of nothing."""
    reader = reader_of(tmp_path / "a.jsonl", b"")
    assert (list(reader.columns), list(reader.chunks())) == ([], [])


# --- files that change -------------------------------------------------------------------------


def test_a_file_that_grows_while_it_is_read_ends_the_pass_with_an_error(tmp_path: Path) -> None:
    """An export that is still being written must not look complete."""
    path = tmp_path / "a.csv"
    chunks = reader_of(path, b"id\n1\n2\n", chunk_rows=1).chunks()
    next(chunks)
    with path.open("ab") as more:
        more.write(b"3\n")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(chunks)


def test_a_file_that_is_rewritten_in_its_old_size_is_noticed(tmp_path: Path) -> None:
    """By the time of its last change, and before the first row of the next pass."""
    path = tmp_path / "a.jsonl"
    reader = reader_of(path, b'{"a":1}\n')
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceError, match="changed since it was opened"):
        next(reader.chunks())


def test_a_file_that_vanishes_between_passes_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    """And not a FileNotFoundError."""
    path = tmp_path / "a.csv"
    reader = reader_of(path, b"id\n1\n")
    path.unlink()
    with pytest.raises(SourceError, match="no such file"):
        next(reader.chunks())


# --- sizes -------------------------------------------------------------------------------------


def test_a_cell_may_have_megabytes(tmp_path: Path) -> None:
    """Far more than the 128 KiB at which the stdlib stops by itself."""
    text = "long " * 600_000
    reader = reader_of(tmp_path / "a.csv", f'id,text\n1,{text}\n2,"{text}\n{text}"\n'.encode())
    assert [[len(cell) for cell in row.record] for chunk in reader.chunks() for row in chunk.rows] == [
        [1, 3_000_000],
        [1, 6_000_001],
    ]


def test_huge_cells_make_short_chunks(tmp_path: Path) -> None:
    """Memory is bounded by what is in a chunk, not only by how many rows."""
    reader = reader_of(tmp_path / "a.csv", b"text\n" + (b"x" * 3_000_000 + b"\n") * 8)
    assert [len(chunk) for chunk in reader.chunks()] == [3, 3, 2]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_without_end_is_refused_before_it_takes_all_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A disk that failed leaves gigabytes of NUL bytes."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100_000)
    chunks = reader_of(tmp_path / name, b'{"id":1}\n{"id":2}\n' + b" " * 70_000 + b"\n", quote="'").chunks()
    assert sum(len(chunk) for chunk in chunks) == 2
    with pytest.raises(SourceError, match=r"a line before byte \d+ is longer than"):
        list(reader_of(tmp_path / name, b'{"id":1}\n{"id":2}\n' + b"\0" * 200_000, quote="'").chunks())


def test_a_quote_that_stays_open_for_megabytes_costs_one_line(tmp_path: Path) -> None:
    """The rest of the file is read as if nothing had been."""
    line = b"2," + b"x" * 250 + b"\n"
    reader = reader_of(tmp_path / "a.csv", b'id,text\n1,"open\n' + line * 80_000 + b'3,"fine"\n')
    chunks = [(len(chunk), chunk.broken) for chunk in reader.chunks()]
    assert sum(rows for rows, _ in chunks) == 80_001
    [broken] = [each for _, ends in chunks for each in ends]
    assert broken.code == "open_quote"
    assert (broken.row.number, broken.row.line, broken.row.record) == (1, 2, '1,"open')


@pytest.mark.parametrize("last", [b"", b'"x\n'])
def test_a_file_full_of_open_quotes_is_read_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    """Each of these lines opens a quote that no later one closes: naively, all of the file would be read per line."""
    looked_at = 0
    line = lines.PhysicalLines.line

    def counted(self: lines.PhysicalLines) -> str:
        nonlocal looked_at
        looked_at += 1
        return line(self)

    monkeypatch.setattr(lines.PhysicalLines, "line", counted)
    reader = reader_of(tmp_path / "a.csv", b"id,b,c\n" + b'a",b,"\n' * 8_000 + last)
    looked_at = 0
    ends = codes(reader)
    assert ends["open_quote"] + ends["bad_quotes"] == ends.total() == 8_000 + bool(last)
    assert looked_at < 400 * 8_000  # against 8,000 * 8,000 / 2


def test_a_record_may_span_blocks_of_reading(tmp_path: Path) -> None:
    """Quoted cells that lie across the places where reading pauses are whole."""
    cell = "\n".join(["a line of a letter"] * 1_000)
    content = "id,text\n" + "".join(f'{number},"{cell}"\n' for number in range(50))
    rows = [row for chunk in reader_of(tmp_path / "a.csv", content.encode()).chunks() for row in chunk.rows]
    assert [row.line for row in rows] == [2 + 1_000 * number for number in range(50)]
    assert {row.record[1] for row in rows} == {cell}


# --- JSONL -------------------------------------------------------------------------------------


def test_the_columns_of_a_chunk_of_jsonl_are_the_keys_of_its_own_rows(tmp_path: Path) -> None:
    """The reader's columns are those of the first chunk; a later chunk may have others."""
    reader = reader_of(tmp_path / "a.jsonl", b'{"a":1}\n{"b":2}\n{"c":3,"a":4}\n', chunk_rows=2)
    assert list(reader.columns) == ["a", "b"]
    assert [list(chunk.frame.columns) for chunk in reader.chunks()] == [["a", "b"], ["c", "a"]]
    assert [chunk.texts("a") for chunk in reader.chunks()] == [["1", ""], ["4"]]


def test_an_integer_of_thousands_of_digits_keeps_them(tmp_path: Path) -> None:
    """Longer than Python converts; its neighbours are as always."""
    digits = "7" * 5_000
    reader = reader_of(tmp_path / "a.jsonl", f'{{"n":{digits},"s":"\\u0416","none":null}}\n'.encode())
    [chunk] = reader.chunks()
    assert (chunk.texts("n"), chunk.texts("s"), chunk.texts("none")) == ([digits], ["Ж"], [""])


def test_an_object_that_is_nested_too_deeply_is_broken_and_no_crash(tmp_path: Path) -> None:
    """Deeper than the stack of any Python."""
    deep = b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n"
    reader = reader_of(tmp_path / "a.jsonl", deep + b'{"a":1}\n')
    assert codes(reader) == {"bad_json": 1, "row": 1}


@pytest.mark.parametrize(
    ("bad", "code", "broken_on"),
    [(b'"x" y,1\n', "bad_quotes", 4), (b'"never closed,1\n', "open_quote", 4), (b'"over\ntwo lines",1\n', None, 0)],
)
def test_what_is_not_one_line_a_record_is_found_in_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes, code: str | None, broken_on: int
) -> None:
    """Blocks in which each line is a record are split without a look at each; the first that is none ends that."""
    monkeypatch.setattr(lines, "BLOCK_CHARS", 8)
    content = b"a,b\n" + b"r2,1\n" + b"r3,1\n" + bad + b"r5,1\n" + b"r6,1\n" + b"r7,1\n"
    [chunk] = reader_of(tmp_path / "a.csv", content).chunks()
    assert [(one.row.line, one.code) for one in chunk.broken] == ([(broken_on, code)] if code else [])
    told = [(row.number, row.line, row.record[0]) for row in chunk.rows]
    ahead = 1 if code is None else 0
    rest = [(4 + at, 5 + at + ahead, text) for at, text in enumerate(("r5", "r6", "r7"))]
    middle = [(3, 4, "over\ntwo lines")] if code is None else []
    assert told == [(1, 2, "r2"), (2, 3, "r3"), *middle, *rest]
