"""What is guessed about exports: encoding, dialect, header, dates, phones, words, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrunner.errors import SourceError
from batchrunner.guess import Head, Plan, head_of_file, propose, sample_of
from batchrunner.guess.dates import DateForm, date_form, decided
from batchrunner.guess.dialect import guess_dialect
from batchrunner.guess.encodings import guess_encoding
from batchrunner.guess.head import HEAD_BYTES
from batchrunner.guess.looks import Hint, look_at
from batchrunner.guess.names import hint_of, meaning_of
from batchrunner.guess.sampling import guess_header

SHELF = Path(__file__).parents[1] / "shelf" / "files"

TEXT = "Имя;Город\nАнна;Великий Новгород\nИван;Нижний Тагил\nОЛЬГА;Санкт-Петербург, ул. Ёлочная\n"
FRENCH = "nom;ville\nZoë;Besançon\nRémi;Orléans\nFrançois;Nîmes\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(TEXT, "cp1251"), (TEXT, "koi8-r"), (TEXT, "cp866"), (FRENCH, "cp1252"), (TEXT, "utf-8"), (TEXT, "utf-16-le")],
)
def test_an_encoding_is_told_by_the_words_it_gives(text: str, encoding: str) -> None:
    """Single bytes are never sure: only UTF-8 proves itself."""
    found = guess_encoding(Head("a.csv", text.encode(encoding), whole=True))
    assert found.value == encoding
    assert (found.sure == "sure") == (encoding == "utf-8")


def test_a_byte_order_mark_is_believed() -> None:
    """UTF-16 is named without its byte order, which the mark says anew in each file."""
    found = guess_encoding(Head("a.csv", TEXT.encode("utf-16"), whole=True, bom_encoding="utf-16-le"))
    assert (found.value, found.sure) == ("utf-16", "sure")


def test_utf8_that_is_cut_in_the_middle_of_a_character_is_utf8() -> None:
    """The head of a long file ends anywhere."""
    data = ("я" * 1000).encode()[:-1]
    assert guess_encoding(Head("a.csv", data, whole=False)).value == "utf-8"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_what_gives_records_of_one_width(delimiter: str) -> None:
    """Decimal commas and semicolons inside of cells do not mislead."""
    rows = [["name", "sum", "tags"], *(["Ann", '"1,50"', '"a;b|c"'] for _ in range(5))]
    found = guess_dialect("\n".join(delimiter.join(row) for row in rows), whole=True)
    assert found.delimiter == delimiter


def test_a_short_header_is_no_preamble() -> None:
    """A header that lacks one name must not be skipped: two of three cells are not a title."""
    found = guess_dialect("email,name\na@example.com,Ann,x\nb@example.com,Bob,y\n", whole=True)
    assert found.skip_lines == 0


def test_a_short_last_record_is_no_footer_unless_it_says_so() -> None:
    """No record is taken for a footer because it is short."""
    plain = guess_dialect("a;b;c\n1;2;3\n4;5;6\n7\n", whole=True)
    total = guess_dialect("a;b;c\n1;2;3\n4;5;6\nTotal: 2\n\n", whole=True)
    assert (plain.skip_footer, total.skip_footer) == (0, 2)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("email,name\na@example.com,Ann\n", True),
        ("a@example.com,Ann\nb@example.com,Bob\n", False),
        ("код;сумма\n1;2\n", True),
        ("Ann,79001234567\nBob,79001234568\n", False),
        ("colour,size\nred,L\nblue,M\n", True),
        ("red,L\nblue,L\nred,M\n", False),
    ],
)
def test_a_header_names_columns_and_holds_no_values(text: str, header: bool) -> None:
    """By the list of names, by what looks like a value, by cells that come again."""
    assert guess_header(guess_dialect(text, whole=True).records).value is header


# --- dates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["23.11.1990", "01.02.1985"], "%d.%m.%Y"),
        (["03/04/2026", "25/04/2026"], "%d/%m/%Y"),
        (["03/04/2026", "04/25/2026"], "%m/%d/%Y"),
        (["2026-01-02", "2026-11-30"], "%Y-%m-%d"),
        (["2026-01-02 10:30", "2026-11-30 23:59"], "%Y-%m-%d %H:%M"),
        (["2026-01-02T10:30:00Z", "2026-11-30T23:59:59Z"], "%Y-%m-%dT%H:%M:%S%z"),
        (["2026-01-02T10:30:00.123Z", "2026-11-30T23:59:59.5Z"], "%Y-%m-%dT%H:%M:%S.%f%z"),
        (["2 Jan 2026", "30 Nov 2026"], "%d %b %Y"),
        (["January 2, 2026", "November 30, 2026"], "%B %d, %Y"),
        (["19901123", "20010131"], "%Y%m%d"),
        (["01.02.90", "23.11.85"], "%d.%m.%y"),
    ],
)
def test_a_form_is_what_reads_the_whole_column(values: list[str], form: str) -> None:
    """One day above the twelfth decides for all."""
    found = date_form(values, expected=True)
    assert found is not None
    assert (found.form, found.also) == (form, None)


def test_days_and_months_that_nothing_tells_apart_are_said_to_be_open() -> None:
    """Both forms read every value."""
    found = date_form(["03/04/2026", "11/12/2025"], expected=True)
    assert found is not None
    assert {found.form, found.also} == {"%d/%m/%Y", "%m/%d/%Y"}


def test_another_column_of_the_file_decides_what_one_leaves_open() -> None:
    """Unless the others disagree among themselves."""
    open_form = DateForm("%d/%m/%Y", "date", 2, 2, also="%m/%d/%Y")
    american = DateForm("%m/%d/%Y", "date", 2, 2)
    european = DateForm("%d.%m.%Y", "date", 2, 2)
    assert decided(open_form, [open_form, american]).form == "%m/%d/%Y"
    assert decided(open_form, [open_form, american, european]).also == "%m/%d/%Y"


def test_days_as_a_spreadsheet_counts_them_are_dates_only_under_a_name_that_says_so() -> None:
    """45231 may be anything else."""
    found = date_form(["45231", "32868"], expected=True)
    assert found is not None
    assert (found.read, found.serials) == (0, 2)
    assert date_form(["45231", "32868"], expected=False) is None


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "hint", "kind", "options"),
    [
        (["ann@example.com", "bob@example.com", "nobody"], "", "email", {}),
        (["8 (900) 123-45-67", "9001234568"], "phone", "phone", {"region": "RU"}),
        (["(212) 555-0142", "212-555-0187"], "phone", "phone", {"region": "US"}),
        (["+7 900 123-45-67", "+7 926 111-22-33"], "", "phone", {"region": "RU"}),
        (["79001234567", "79001234568"], "id", "int", {}),
        (["да", "Нет", "ДА"], "", "bool", {"true": ["да"], "false": ["нет"]}),
        (["1", "0", "да"], "", "bool", {"true": ["да", "1"], "false": ["0"]}),
        (["1", "1", "1"], "", "int", {}),
        (["12,50", "7", "-0,5"], "", "float", {"decimal": ","}),
        (["1 234,50", "99,00"], "", "float", {"grouped": True, "decimal": ","}),
        (["00123", "00124"], "", "text", {}),
        (["a;b", "b", "a;b;c", "c;a"], "", "list", {"separator": ";"}),
        (["one sentence, and another one here", "more words, as they come"], "", "text", {}),
        (['{"a": 1}', "[]"], "", "json", {}),
        (["10.0.0.1", "192.168.1.20"], "", "ip", {}),
        (["", "  "], "", "empty", {}),
    ],
)
def test_a_column_is_what_most_of_its_values_are(
    values: list[str], hint: Hint, kind: str, options: dict[str, object]
) -> None:
    """With the options of the conversion that reads it."""
    look = look_at(values, hint, ("RU",))
    assert (look.kind, look.options) == (kind, options)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "meaning", "sure"),
    [
        ("E-mail", "email", "sure"),
        ("EMAIL_ADDRESS", "email", "sure"),
        ("Электронная почта", "email", "sure"),
        ("Customer E-mail", "email", "likely"),
        ("Emial", "email", "guess"),
        ("firstName", "_fname", "sure"),
        ("Имя", "_fname", "sure"),
        ("Дата рождения", "_bdate", "sure"),
        ("Дата рожденя", "_bdate", "guess"),
        ("Номер телефона", "phone", "sure"),
        ("№", "crm_id", "sure"),
    ],
)
def test_headers_are_known_by_their_names_and_by_similarity(header: str, meaning: str, sure: str) -> None:
    """In English and in Russian, however they are spelt."""
    named = meaning_of(header)
    assert named is not None
    assert (named.meaning, named.sure) == (meaning, sure)


@pytest.mark.parametrize("header", ["Colour", "Примечание", "x", "", "Total"])
def test_other_headers_mean_nothing_known(header: str) -> None:
    """They are custom fields."""
    assert meaning_of(header) is None


def test_a_header_hints_at_how_its_values_are_read() -> None:
    """Dates and ids by a word in their names."""
    assert [hint_of(name) for name in ("Last visit date", "Артикул", "Phone", "Colour")] == ["date", "id", "phone", ""]


# --- whole exports -----------------------------------------------------------------------------


def planned(text: str) -> Plan:
    """The plan for a CSV export."""
    return propose(sample_of(Head("a.csv", text.encode(), whole=True)))


def test_a_name_that_its_values_contradict_is_not_believed() -> None:
    """A column called Mail that holds street addresses is no address to write to."""
    plan = planned("mail,contact\n1 Long Street,ann@example.com\n2 Short Street,bob@example.com\n")
    by_column = {one.column: one for one in plan.proposals}
    assert plan.search == {"email": {"column": "contact", "as": "email"}}
    assert by_column["mail"].target == "content.mail"
    assert "but" in by_column["mail"].why


def test_several_phones_are_one_list_and_the_first_of_them_is_looked_up() -> None:
    """And a second e-mail address is a field to switch on, not a second key."""
    plan = planned("Mobile,Work phone,E\n+79001234567,,x\n,+79261112233,y\n")
    assert plan.search == {"phone": {"pick": ["Mobile", "Work phone"], "as": "phone", "region": "RU"}}
    assert plan.phones == {"columns": ["Mobile", "Work phone"], "as": "phone", "region": "RU"}


def test_an_id_that_is_another_in_each_row_is_the_key_of_last_resort() -> None:
    """Not one that repeats."""
    assert planned("id,size\n1,L\n2,M\n").matching == "custom"
    assert planned("id,size\n1,L\n1,M\n").search == {}


@pytest.mark.parametrize("path", sorted(SHELF.iterdir()), ids=lambda path: path.name)
def test_no_file_of_the_shelf_is_too_nasty_to_look_at(path: Path) -> None:
    """Each is read or refused with a sentence."""
    if not path.read_bytes().strip():
        with pytest.raises(SourceError, match=path.name):
            sample_of(head_of_file(path))
        return
    sample = sample_of(head_of_file(path))
    assert all(len(texts) == sample.rows for texts in sample.texts.values())
    assert propose(sample).matching


def test_only_the_start_of_a_large_export_is_read(tmp_path: Path) -> None:
    """The last line that was read in part is left out."""
    path = tmp_path / "large.csv"
    line = b"ann@example.com," + b"x" * 1000 + b"\n"
    path.write_bytes(b"email,note\n" + line * (2 * HEAD_BYTES // len(line)))
    head = head_of_file(path)
    sample = sample_of(head)
    assert (len(head.data), head.whole, sample.whole) == (HEAD_BYTES, False, False)
    assert (sum(sample.broken.values()), sample.rows) == (0, (HEAD_BYTES - 11) // len(line))


def test_an_array_that_is_longer_than_the_start_is_read_up_to_the_cut() -> None:
    """It has no end there, and that is no damage; an array that is cut off on the disk is."""
    one = b'{"email": "p%d@example.com", "note": "' + b"x" * 600 + b'"}'
    array = b"[" + b",".join(one % number for number in range(7000))
    sample = sample_of(Head("a.json", array, whole=False))
    assert sample.rows >= 6000
    with pytest.raises(SourceError, match="cut off"):
        sample_of(Head("a.json", array, whole=True))


def look_of(values: list[str], hint: Hint = "") -> str:
    """The kind of a column."""
    return look_at(values, hint, ()).kind


def test_a_header_alone_makes_no_phone() -> None:
    """Nor do latitudes, which are valid numbers somewhere in the world."""
    assert look_of(["Jane Roe", "John Doe"], "phone") == "text"
    assert look_of(["42.3600000", "55.7558000", "59.9386000"]) == "float"
    assert look_of(["617.555.0101", "617.555.0102"]) == "phone"


def test_no_share_is_larger_than_the_whole() -> None:
    """A number that names its country, though not by a plus in front, is counted once."""
    look = look_at(["'+7 900 123-45-67", "'+7 900 123-45-68"], "phone", ("RU",))
    assert "100 %" in look.why


@pytest.mark.parametrize("header", ["Contact owner", "Email opt out date", "Ответственный", "Phone owner"])
def test_a_name_that_turns_the_meaning_round_is_not_near(header: str) -> None:
    """A consent is never guessed from a refusal."""
    assert meaning_of(header) is None


def plan_of(content: str) -> Plan:
    """The proposals for a CSV file."""
    return propose(sample_of(Head("a.csv", content.encode(), whole=True)))


def test_a_second_address_stands_in_for_the_first() -> None:
    """Both are looked at in file order; a column that fills no gap stays a comment."""
    work, personal = "w@example.com", "p@example.com"
    rows = f"{work},{personal},o@example.com\n{work},,o@example.com\n,{personal},\n{work},,\n"
    plan = plan_of("Work email,Personal email,Owner email\n" + rows)
    assert plan.search == {"email": {"pick": ["Work email", "Personal email"], "as": "email"}}
    assert [one.on for one in plan.proposals] == [True, True, False]
    assert plan.why == "one of 2 columns is filled in 100 % of the rows"
    one_is_enough = plan_of("Work email,Personal email\n" + "a@example.com,b@example.com\n" * 3)
    assert one_is_enough.search == {"email": {"column": "Work email", "as": "email"}}


def test_a_refusal_keeps_its_name() -> None:
    """Switched on, `newsletter` would mean the opposite."""
    plan = plan_of("Email,Email Opt Out\na@example.com,1\nb@example.com,0\n")
    assert plan.proposals[1].target == "data.opt_out"


def test_a_birthday_at_midnight_is_a_day() -> None:
    """As some programs write it."""
    plan = plan_of("Email;Дата рождения\na@example.com;23.11.1990 0:00:00\nb@example.com;01.02.1985 0:00:00\n")
    assert plan.proposals[1].node == {"column": "Дата рождения", "as": "date", "format": "%d.%m.%Y %H:%M:%S"}


def test_apostrophes_for_spreadsheets_are_taken_off() -> None:
    """Where nearly all cells have one; a name that begins so keeps it."""
    plan = plan_of("Email,Zip,Last name\n" + "".join(f"a{n}@example.com,'0213{n},{'Brown'}\n" for n in range(5)))
    assert plan.proposals[1].node == """{Zip|trim|replace:"'",''}"""
    assert plan.proposals[2].node == "{Last name|trim}"
