"""Writes whole exports as CRMs write them, one habit each; `init`, `check` and `run` must cope with them unedited.

Usage: python tests/shelf/make_exports.py
"""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).with_name("exports")


@dataclass(frozen=True)
class Export:
    """The bytes of a file, and the records that a person counts in it."""

    content: bytes
    records: int
    """Broken ones included."""
    sendable: int
    """That have an address, and are whole."""


PEOPLE = (
    ("Анна", "Иванова", "anna@example.com", "+7 (900) 123-45-67", "23.11.1990", "Омск", "да", "1250,50"),
    ("Иван", "Петров", "ivan@example.com", "8 900 765-43-21", "01.02.1985", "Тверь", "нет", "0,00"),
    ("Ольга", "Ёлкина", "olga@example.org", "9161234567", "30.06.1979", "Уфа", "да", "12,75"),
    ("Пётр", "Смирнов", "petr@example.net", "+79261112233", "14.04.2001", "Омск", "да", "99,90"),
)
ENGLISH = (
    ("Ann", "O'Neill", "ann@example.com", "+1 212-555-0142", "11/23/1990", "New York"),
    ("Bob", "Smith", "bob@example.com", "(212) 555-0187", "02/01/1985", "Boston"),
    ("Carol", "Jones, Jr.", "carol@example.org", "212-555-0111", "06/30/1979", "Austin"),
)
RUSSIAN_HEADER = ("Имя", "Фамилия", "E-mail", "Телефон", "Дата рождения", "Город", "Подписка", "Бонусы")
ENGLISH_HEADER = ("First Name", "Last Name", "Email Address", "Phone Number", "Date of Birth", "City")


def lines(rows: list[tuple[str, ...]], delimiter: str = ",", end: str = "\n") -> str:
    """Rows as CSV, quoted where they must be."""
    return "".join(delimiter.join(_cell(cell, delimiter) for cell in row) + end for row in rows)


def _cell(cell: str, delimiter: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & {delimiter, '"', "\n"} else cell


def zipped(name: str, content: bytes) -> bytes:
    """A zip that is the same every time."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return file.getvalue()


def workbook(sheets: dict[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parquet(columns: dict[str, Any]) -> bytes:
    """A Parquet file with these columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


RUSSIAN = lines([RUSSIAN_HEADER, *PEOPLE], ";", "\r\n")
AMERICAN = lines([ENGLISH_HEADER, *ENGLISH])
NESTED = [
    {"id": 20_000_000_000_000_000_001 + n, "email": row[2], "first_name": row[0], "tags": ["a", "b"], "spent": 1.10}
    for n, row in enumerate(ENGLISH)
]

EXPORTS: dict[str, Export] = {
    # --- encodings
    "russian_excel_cp1251.csv": Export(RUSSIAN.encode("cp1251"), 4, 4),
    "russian_koi8_r.csv": Export(RUSSIAN.encode("koi8-r"), 4, 4),
    "russian_utf8_bom.csv": Export(b"\xef\xbb\xbf" + RUSSIAN.encode(), 4, 4),
    "russian_utf16_tab.csv": Export(
        b"\xff\xfe" + lines([RUSSIAN_HEADER, *PEOPLE], "\t", "\r\n").encode("utf-16-le"), 4, 4
    ),
    "french_cp1252.csv": Export(
        lines([("Prénom", "Nom", "E-mail"), ("Zoë", "Lefèvre", "zoe@example.com"), ("Rémi", "Noël", "remi@example.fr")])
        .replace(",", ";")
        .encode("cp1252"),
        2,
        2,
    ),
    "one_bad_byte.csv": Export(
        ("Имя,Почта\n" + "".join(f"Имя{n},p{n}@example.com\n" for n in range(30))).encode()
        + b"Zo\xeb,zoe@example.com\n",
        31,
        30,
    ),
    # --- dialects
    "american.csv": Export(AMERICAN.encode(), 3, 3),
    "bars.txt": Export(lines([ENGLISH_HEADER, *ENGLISH], "|").encode(), 3, 3),
    "backslash_quotes.csv": Export(
        b'id,email,note\n1,"a@example.com","the \\"best\\" one"\n2,"b@example.com","a \\"b\\", and c"\n', 2, 2
    ),
    "preamble_and_footer.csv": Export(
        "Отчёт по клиентам\nсформирован 24.11.2026\n\n".encode() + RUSSIAN.encode() + "Итого;4\r\n".encode(), 4, 4
    ),
    "no_header.csv": Export(lines(list(ENGLISH)).encode(), 3, 3),
    "trailing_delimiters.csv": Export(b"email;name\r\nann@example.com;Ann;\r\nbob@example.com;Bob;\r\n", 2, 2),
    "duplicate_and_empty_names.csv": Export(b"Email,Email,,Name\na@example.com,b@example.com,x,Ann\n", 1, 1),
    "ragged_contacts.csv": Export(
        b"email,name,city\na@example.com,Ann,Omsk\nb@example.com,Bob\nc@example.com,Cid,Ufa,extra\nd@example.com,D,E\n",
        4,
        2,
    ),
    "quoted_newlines_contacts.csv": Export(
        b'E-mail,Address\n"ann@example.com","1 Long Street\nNew York"\n"bob@example.com","2 Short Street\r\nBoston"\n',
        2,
        2,
    ),
    "only_an_email.csv": Export(b"email\nann@example.com\nbob@example.com\n", 2, 2),
    "hubspot.csv": Export(
        b'"Record ID","First Name","Last Name","Email","Phone Number","Create Date","Lead Status"\n'
        b'"1","Ann","Lee","ann@example.com","+44 20 7946 0958","2026-01-13 09:05","NEW"\n'
        b'"2","Bob","Ray","bob@example.com","+44 20 7946 0123","2026-02-01 18:30","OPEN"\n',
        2,
        2,
    ),
    # --- columns that must be recognised by what they hold
    "contact_is_an_address.csv": Export(
        b"Contact;Wann;Summe\nann@example.de;03.04.2026;1 234,50\nbob@example.de;25.04.2026;99,00\n", 2, 2
    ),
    "ambiguous_dates.csv": Export(b"email,birthday\nann@example.com,03/04/1990\nbob@example.com,01/02/1985\n", 2, 2),
    "phones_only.csv": Export(
        "ФИО;Мобильный телефон\nИванова Анна;8 (900) 123-45-67\nПетров Иван;+7 926 111-22-33\n".encode(), 2, 2
    ),
    "phone_where_no_address.csv": Export(
        b"email,phone\nann@example.com,+79001234567\n,+79001234568\n,\nbob@example.com,\n", 4, 3
    ),
    # --- packed, and JSON
    "packed.csv.gz": Export(gzip.compress(RUSSIAN.encode("cp1251"), mtime=0), 4, 4),
    "packed.csv.bz2": Export(bz2.compress(AMERICAN.encode()), 3, 3),
    "packed.zip": Export(zipped("export.csv", RUSSIAN.encode()), 4, 4),
    "lines.jsonl": Export("".join(json.dumps(one) + "\n" for one in NESTED).encode(), 3, 3),
    "nested.jsonl": Export(
        b'{"id":1,"contact":{"email":"ann@example.com","phones":["+79001234567"]}}\n'
        b'{"id":2,"contact":{"email":"bob@example.com","phones":[]}}\n',
        2,
        2,
    ),
    "array.json": Export(b'[{"email": "ann@example.com", "n": 1.10},\n {"email": "bob@example.com", "n": 2}]', 2, 2),
    "damaged_cells.csv": Export(
        (
            "E-mail,Телефон,Имя\nann@example.com.,8 (900) 123-45-67,Анна\nbob@example.com,7.9E+10,Боб\n"
            "cid@example.com,7.9001234567E+10,Ð˜Ð²Ð°Ð½\na@example.com; b@example.com,,NULL\n"
        ).encode(),
        4,
        2,
    ),
    # --- as known CRMs write them; people, companies and numbers are invented
    "amocrm.csv": Export(
        b"\xef\xbb\xbf"
        + (
            "ID;Наименование;Имя;Фамилия;Дата создания контакта;Теги;Примечание 1;Рабочий телефон;Мобильный телефон;"
            "Рабочий email;Личный email;Адрес\r\n"
            "40000001;Анна Иванова;Анна;Иванова;14.03.2025 10:20:00;лид, vip;;'+79001234567;;anna@example.com;;\r\n"
            '40000002;Иван Петров;Иван;Петров;02.04.2025 11:00:00;лид;"Звонили\nне ответил";;;;ivan@example.org;\r\n'
            "40000003;Ольга Ёлкина;Ольга;Ёлкина;25.04.2025 12:00:00;;;;89161234567;;;г. Москва\r\n"
            "40000004;Пётр Попов;Пётр;Попов;26.04.2025 12:00:00;;;;89161234568;;;\r\n"
            "40000005;;Дарья;;27.04.2025 12:00:00;;;;;;;\r\n"
        ).encode(),
        5,
        4,
    ),
    "hubspot_owner.csv": Export(
        lines(
            [
                ("Record ID", "First Name", "Email", "Phone Number", "Mobile Phone Number", "Contact owner"),
                ("51", "Ann", "ann@example.com", "+1 212-555-0142", "(212) 555-0143", "Jane Rep"),
                ("101", "Bob", "bob@example.com", "", "(212) 555-0144", "Jane Rep"),
            ]
        ).encode(),
        2,
        2,
    ),
    "mailchimp.csv": Export(
        lines(
            [
                ("Email Address", "First Name", "Birthday", "OPTIN_TIME", "OPTIN_IP", "LATITUDE", "LONGITUDE", "TAGS"),
                (
                    "ann@example.com",
                    "Ann",
                    "11/23",
                    "2025-01-10 10:00:00",
                    "203.0.113.7",
                    "42.3600000",
                    "-71.05",
                    '"a"',
                ),
                ("bob@example.com", "Bob", "02/01", "2025-01-11 10:00:00", "", "55.7558000", "37.61", '"a","b"'),
            ]
        ).encode(),
        2,
        2,
    ),
    "salesforce_report.csv": Export(
        (
            '"Contact ID","Last Name","Mailing City","Mailing Zip/Postal Code","Mobile","Email","Birthdate",'
            '"Email Opt Out"\n'
            '"0035g00000AAE","O\'Neill","Boston","02134","617.555.0101","ann@example.com","11/23/1990","0"\n'
            '"0035g00001AAE","Smith","Austin","73301","617.555.0102","bob@example.com","2/1/1985","1"\n\n'
            '"Confidential Information - Do Not Distribute"\n"Generated By: Jane Rep  11/24/2026"\n'
        ).encode("cp1252"),
        2,
        2,
    ),
    "onec.txt": Export(
        (
            "Список контрагентов\r\nОтбор: Покупатели\r\n\r\n"
            "Код\tНаименование\tТелефон\tАдрес электронной почты\tДата рождения\tСумма продаж\tСогласие на рассылку\r\n"
            "00-00000017\tИванова Анна\t+7 (900) 123-45-67\tanna@example.com\t23.11.1990 0:00:00\t1\u00a0250,50\tДа\r\n"
            "00-00000018\tПетров Иван\t8(916)1234567, доб. 12\t\t01.02.1985 0:00:00\t0,00\tНет\r\n"
            "Итого\t2\r\n"
        ).encode("cp1251"),
        2,
        2,
    ),
    "shopify.csv": Export(
        lines(
            [
                ("Customer ID", "First Name", "Email", "Accepts Email Marketing", "Default Address Zip", "Phone"),
                ("'7000000000001", "Ann", "ann@example.com", "yes", "'02134", "'+16175550101"),
                ("'7000000000002", "Bob", "", "no", "'02135", "'+16175550102"),
            ]
        ).encode(),
        2,
        2,
    ),
    # --- tables
    "contacts.xlsx": Export(
        workbook(
            {
                "Титул": [("Отчёт",)],
                "Клиенты": [
                    ("Отчёт по клиентам",),
                    (),
                    ("Имя", "Телефон", "E-mail", "Дата рождения", "Бонусы", "Активен"),
                    ("Анна", 79001234567, "anna@example.com", dt.date(1990, 11, 23), 1250.5, True),
                    ("Иван", 79007654321, None, dt.date(1985, 2, 1), 0, False),
                    ("Ольга", None, "olga@example.org", None, None, True),
                    ("Итого", 3),
                ],
            }
        ),
        3,
        3,
    ),
    "contacts.parquet": Export(
        parquet(
            {
                "client_id": ["0017", "0018", "0019"],
                "contact": [{"email": "ann@example.com"}, {"email": "bob@example.com"}, {"email": None}],
                "mobile": pa.array([79001234567.0, None, None]),
                "birthday": pa.array([dt.date(1990, 12, 31), None, None]),
                "vip": pa.array([True, True, None]),
                "tags": [["a", "b"], [], None],
            }
        ),
        3,
        2,
    ),
    "lines_under_another_name.txt": Export(
        "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in NESTED).encode(), 3, 3
    ),
}


def make() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, export in EXPORTS.items():
        (FOLDER / name).write_bytes(export.content)


if __name__ == "__main__":
    make()
