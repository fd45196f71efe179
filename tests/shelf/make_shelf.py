"""Writes the files of the shelf, byte by byte: one nastiness each. Run it after changing a file here.

Usage: python tests/shelf/make_shelf.py
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("files")

FILES: dict[str, bytes] = {
    # --- line ends and blank lines
    "crlf_excel.csv": b"id,name\r\n1,Anna\r\n2,Ivan\r\n",
    "mixed_line_ends.csv": b"id,name\n1,Anna\r2,Ivan\r\n3,Olga\n\r4,Petr",
    "cr_cr_lf.csv": b"id,name\r\r\n1,Anna\r\r\n2,Ivan\r\r\n",
    "blank_lines.csv": b"\n\nid,name\n\n1,Anna\n\n\n2,Ivan\n\n",
    "no_last_line_end.csv": b"id,name\n1,Anna",
    "header_only.csv": b"id,name\n",
    # --- quoting
    "quoted_newlines.csv": b'id,note\n1,"two\nlines"\n2,"cr\r\nlf, and ""quotes"""\n3,plain\n',
    "bad_quotes.csv": b'id,note\n1,fine\n2,"OOO "Daisy" Ltd"\n3,fine\n',
    "bad_quotes_later.csv": b'id,note\n1,"begins here\n2,fine\n3,"here, the quote ends"\n4,fine\n',
    "open_quote.csv": b'id,note\n1,fine\n2,"never closed\n3,fine\n\n4,fine\n',
    "open_quotes_thrice.csv": b'id,note\n1,"x\n2,fine\n3,a"b\n',
    "inch_marks.csv": b'id,size\n1,5" pipe\n2,a "quoted" word\n',
    "single_quotes.csv": b"id;name\n1;'a;b'\n2;'it''s'\n",
    # --- cells that are there or not
    "ragged.csv": b"id,name,city\n1,Anna,Omsk\n2,Ivan\n3,Olga,Tver,extra\n4,,\n5\n   \n6,Petr,Ufa\n",
    "nul_bytes.csv": b"id,name\n1,An\x00na\n\x00\x00\n2,Ivan\n",
    "fed_back_error.csv": (
        b"id,name,_row,_line,_source,_outcome,_profile_id,_error_code,_error_text\n"
        b'7,Anna,7,8,/data/a.csv,rejected,,400,"bad e-mail, it says"\n'
    ),
    # --- characters
    "utf8_bom.csv": b"\xef\xbb\xbfid,\xd0\xb8\xd0\xbc\xd1\x8f\n1,\xd0\xaf\xd0\xbd\n",
    "utf8_bom_twice.csv": b'\xef\xbb\xbf\xef\xbb\xbf"id",name\n1,Anna\n',
    "utf16_excel.csv": b"\xff\xfe" + "id\tимя\r\n1\tЯн\r\n2\t\U0001f600\r\n".encode("utf-16-le"),
    "utf16_half_pair.csv": b"\xff\xfe%b\x00\xd8%b"
    % ("id,n\n1,a\n2,".encode("utf-16-le"), "b\n3,c\n".encode("utf-16-le")),
    "cp1251.csv": "id;имя\r\n1;Ёжик №5\r\n".encode("cp1251"),
    "cp1251_undefined.csv": "id;имя\n1;Ян\n2;Да".encode("cp1251") + b"\x98\n3;\n",
    "cp1252.csv": "id,name\n1,Zoë “Œuvre” €5\n".encode("cp1252"),
    "koi8_r.csv": "id,имя\n1,Ян\n".encode("koi8-r"),
    "latin_1.csv": b"id,name\n1,Zo\xeb\x85\n",
    "bad_byte.csv": b"id,name\n1,Anna\n2,Zo\xeb\n3,Ivan\n",
    "bad_byte_cut_off.csv": b"id,name\n1,\xe2\x82\n2,\xd0,x\n3,Ivan\n4,\xf0\x9f\x98",
    "bad_byte_in_quotes.csv": b'id,note\n1,"\xd0\x96\nline \xff"\n2,fine\n',
    "line_separators.csv": "id,note\n1,a\u2028b\x0bc\x0cd\x85e\x1cf\n".encode(),
    # --- JSONL
    "exact_numbers.jsonl": (
        b'{"id": 12345678901234567890, "price": 1.10, "big": 1E400, "zero": -0, "none": null, "yes": true}\n'
        b'{"id": 1, "price": 0, "big": [1.50, {"a": -0}], "zero": {}, "none": "", "yes": false}\n'
    ),
    "keys_that_come_and_go.jsonl": b'{"a":"1","b":"2"}\n{"c":"3"}\n{}\n{"b":"4","a":"5"}\n',
    "broken_lines.jsonl": (
        b'{"a":"1"}\n{"a":\n[1]\n"text"\n12 34\n{"a":"x\ty"}\n\n   \n{"a":"\xff"}\n{"a":"\\ud800"}\nnull\n{"a":"2"}'
    ),
    "utf8_bom.jsonl": b'\xef\xbb\xbf{"a":"1"}\r\n{"a":"2"}\r\n',
    "escapes.jsonl": b'{"a":"\\u0416\\ud83d\\ude00\\n\\"\\u0000"}\n{"\\u0061":"2"}\n',
    "empty.jsonl": b"",
    "nested.jsonl": (
        b'{"id":1,"contact":{"email":"a@example.com","note":null},"phones":["+7900",{"n":1.10}]}\n'
        b'{"id":2,"contact":"none","phones":[]}\n'
    ),
    "duplicate_keys.jsonl": (
        b'{"a":"1","a":"2"}\n{"a":"1","a":"1"}\n'
        b'{"a":{"b":1,"b":1.0}}\n{"a":"b:c, \\"d\\": e"}\n{"\\u0061":1, "a" : 2}\n'
    ),
    # --- JSON arrays
    "array.json": (
        b'\xef\xbb\xbf [\r\n  {\r\n    "a": 1.10,\r\n    "b": ["]", "}"]\r\n  },\r\n\r\n  {"a": "2"}\r\n]\r\n'
    ),
    "array_on_one_line.json": b'[{"a":"1"},{"a":"2"},{},{"a":"[{"}]',
    "array_empty.json": b" [\n]\n",
    "array_broken.json": (
        b'[\n{"a":"two\nlines"},\n{"a":"never closed},\n{"a":"3"},\n{"a":"4",\n{"a":"5"},\n'
        b'{"a":["6"},\n7,\n{"a":"\xff"},\n'
        b'{"a":"9"}\n]\nmore\n'
    ),
}


def make() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    make()
