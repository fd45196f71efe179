"""Writes the sample data: an export such as a CRM writes it, with known faults in known numbers.

Usage: python sample_data/make_samples.py [DIRECTORY]

The same bytes every time, on every Python: chance comes from `Random.random` alone, whose numbers are promised not to
change, and records are put together here. Everybody is invented; the addresses are reserved for examples, and so are
the foreign phone numbers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sample_people import COLUMNS, RUSSIAN_CITIES, Cells, people

SEED = 21
PEOPLE = 2_325
JSONL_ROWS = 300
FAULTLESS = 10
"""The first rows are as they should be: `preview` shows them."""

EARLY = 500
"""Rows that are tried several times stand among the first: their waits pass while the others are sent."""

HERE = Path(__file__).parent

# --- records -----------------------------------------------------------------------------------


def record(cells: Iterable[str]) -> bytes:
    """A record of the CSV file."""
    return (",".join(map(quoted, cells)) + "\n").encode()


def quoted(cell: str) -> str:
    """A cell, in quotes where it needs them."""
    return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in ',"\n') else cell


# --- faults ------------------------------------------------------------------------------------

ACCEPTED, REJECTED, IN_DOUBT, SKIPPED, NO_ROW = "accepted", "rejected", "in doubt", "skipped", "not a row"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with some rows."""

    what: str
    rows: int
    outcome: str
    """Of the first run."""
    write: Callable[[Cells, int], bytes]
    """The faulty record of the nth person that has this fault."""
    later: bool = False
    """Somewhere below the right record of the person, not in its place."""
    early: bool = False
    """Among the first rows of the file."""

    @property
    def ends(self) -> str:
        """The outcome without its code."""
        return self.outcome.split(":")[0]


Write = Callable[[Cells, int], bytes]


def changed(column: str, *values: str) -> Write:
    """Other values in one column, in turn; `{}` is the value that was there."""

    def write(cells: Cells, nth: int) -> bytes:
        value = values[nth % len(values)].replace("{}", cells[column])
        return record({**cells, column: value}.values())

    return write


def aimed(fault: str) -> Write:
    """An address that makes the sandbox answer as the fault says."""

    def write(cells: Cells, _: int) -> bytes:
        local, domain = cells["E-mail"].split("@")
        return record({**cells, "E-mail": f"{local}+{fault}@{domain}"}.values())

    return write


def same(cells: Cells, _: int) -> bytes:
    """The record once more."""
    return record(cells.values())


def shouted(cells: Cells, _: int) -> bytes:
    """The address in capitals."""
    return record({**cells, "E-mail": cells["E-mail"].upper()}.values())


def moved(cells: Cells, _: int) -> bytes:
    """The person has moved, and has spent the bonus."""
    return record({**cells, "City": "Самара", "Bonus": "0,00"}.values())


def padded(cells: Cells, nth: int) -> bytes:
    """Blanks behind values, and at the end of the line."""
    blanks = " " * (nth % 3 + 1)
    wide = {column: f"{cells[column]}{blanks}" for column in ("Phone", "Birth date", "Newsletter", "Bonus", "Comment")}
    return record({**cells, **wide}.values())


def one_too_many(cells: Cells, _: int) -> bytes:
    """A comma that was never quoted."""
    return record([*cells.values(), "склад 2"])


def one_too_few(cells: Cells, _: int) -> bytes:
    """The record was cut."""
    return record(list(cells.values())[:-1])


def old_bytes(cells: Cells, _: int) -> bytes:
    """A city in another encoding."""
    return record({**cells, "City": "Пермь"}.values()).replace("Пермь".encode(), "Пермь".encode("cp1251"))


def bare_quotes(cells: Cells, _: int) -> bytes:
    """Quotes inside quotes that were not doubled."""
    return record([*cells.values()][:-1]).rstrip(b"\n") + ',"Фирма "Ромашка", опт"\n'.encode()


def blank_line(_: Cells, __: int) -> bytes:
    """Nothing."""
    return b"\n"


IMPOSSIBLE_DATES = ("31.02.1990", "30.02.1985", "31.04.1978", "00.00.0000", "29.02.1999", "1990-05-12", "32.01.1991")
BAD_ADDRESSES = ("no-at-sign.example.com", "two@@example.com", "in side@example.org", "@example.net", "нет", "ben@")
TWO_LINES = ("Звонить в понедельник\nИли в среду", "First line\nsecond line, with a comma\n\nand a fourth")
QUOTES = ('Фирма "Ромашка"', 'Said "yes", then "no"', '"')

FAULTS = (
    # of the file
    Fault("blank line", 15, NO_ROW, blank_line, later=True),
    Fault("one field too many", 5, "unusable: extra_fields", one_too_many),
    Fault("one field too few", 4, "unusable: missing_fields", one_too_few),
    Fault("bytes that are not UTF-8", 2, "unusable: bad_bytes", old_bytes),
    Fault("quotes inside quotes, not doubled", 2, "unusable: bad_quotes", bare_quotes),
    Fault("comment over several lines", 40, ACCEPTED, changed("Comment", *TWO_LINES)),
    Fault("quotes inside quotes, doubled as they should be", 30, ACCEPTED, changed("Comment", *QUOTES)),
    Fault("blanks behind values and at the end of the line", 25, ACCEPTED, padded),
    # of values
    Fault("no e-mail", 24, "unusable: missing", changed("E-mail", "", " ")),
    Fault("not an e-mail address", 14, "unusable: bad_email", changed("E-mail", *BAD_ADDRESSES)),
    Fault("e-mail between blanks", 30, ACCEPTED, changed("E-mail", " {}", "{} ", "  {}  ")),
    Fault("e-mail in capitals", 30, ACCEPTED, shouted),
    Fault("impossible birth date", 12, "unusable: bad_date", changed("Birth date", *IMPOSSIBLE_DATES)),
    Fault("no birth date", 50, ACCEPTED, changed("Birth date", "")),
    Fault("not a phone number", 10, "unusable: bad_phone", changed("Phone", "не звонить", "123", "+7 900", "n/a")),
    Fault("no phone", 60, ACCEPTED, changed("Phone", "")),
    Fault("not a number", 6, "unusable: bad_float", changed("Bonus", "NA", "н/д", "1 234,50 ₽")),
    Fault("texts that look like something else", 24, ACCEPTED, changed("Promo code", "NA", "1e5", "null", "TRUE")),
    # of people
    Fault("the same row once more", 40, SKIPPED, same, later=True),
    Fault("the same person, moved", 25, SKIPPED, moved, later=True),
    Fault("the same person, e-mail in capitals", 10, SKIPPED, shouted, later=True),
    # of the platform: the sandbox reads in the address what it shall do
    Fault("`+fail-435@`: the search is ambiguous", 2, "rejected: 435", aimed("fail-435")),
    Fault("`+fail-409@`: a unique value is taken", 1, "rejected: 409", aimed("fail-409")),
    Fault("`+fail-441@`: belongs to another group", 1, "rejected: 441", aimed("fail-441")),
    Fault("`+drop-after-once@`: sent, the line drops", 2, ACCEPTED, aimed("drop-after-once"), early=True),
    Fault("`+half-after-once@`: sent, half an answer", 1, ACCEPTED, aimed("half-after-once"), early=True),
    Fault("`+html-502-once@`: a proxy's error page", 2, ACCEPTED, aimed("html-502-once"), early=True),
    Fault("`+http-429-once@`: asked to wait a second", 1, ACCEPTED, aimed("http-429-once"), early=True),
    Fault("`+drop-after-times5@`: sent, no answer five times", 1, IN_DOUBT, aimed("drop-after-times5"), early=True),
)


# --- the export --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Export:
    """The records in order, and the people in whose records nothing is wrong."""

    records: Sequence[bytes]
    clean: Sequence[Cells]


def export() -> Export:
    """Everybody, with the faults strewn in."""
    chance = Random(SEED)
    everybody = list(people(PEOPLE))
    places = strewn(chance)
    records = [(float(number), record(cells.values())) for number, cells in enumerate(everybody)]
    for fault, chosen in places:
        for nth, number in enumerate(chosen):
            faulty = fault.write(everybody[number], nth)
            if fault.later:
                records.append((below(chance, number), faulty))
            else:
                records[number] = (float(number), faulty)
    hit = {number for _, chosen in places for number in chosen}
    clean = [cells for number, cells in enumerate(everybody) if number not in hit]
    return Export([text for _, text in sorted(records)], clean)


def strewn(chance: Random) -> list[tuple[Fault, list[int]]]:
    """Which people have which fault: nobody has two."""
    dice = [chance.random() for _ in range(PEOPLE)]
    free = sorted(range(FAULTLESS, PEOPLE), key=dice.__getitem__)
    places = []
    for fault in sorted(FAULTS, key=lambda fault: not fault.early):
        chosen = [number for number in free if number < EARLY or not fault.early][: fault.rows]
        free = [number for number in free if number not in chosen]
        places.append((fault, chosen))
    return places


def below(chance: Random, number: int) -> float:
    """A place between two later records. Two at one place are ordered by their texts."""
    return number + 0.5 + int(chance.random() * (PEOPLE - number))


def csv_file(records: Sequence[bytes]) -> bytes:
    """The export."""
    return b"".join((record(COLUMNS), *records))


def jsonl_file(clean: Sequence[Cells]) -> bytes:
    """The first people in whose records nothing is wrong, as objects."""
    lines = [json.dumps(as_object(cells), ensure_ascii=False) for cells in clean[:JSONL_ROWS]]
    return ("\n".join(lines) + "\n").encode()


def as_object(cells: Cells) -> dict[str, Any]:
    """A person with numbers, truths, a list and an object in an object."""
    day, month, year = cells["Birth date"].split(".")
    return {
        "id": cells["Client ID"],
        "email": cells["E-mail"],
        "first_name": cells["First name"],
        "last_name": cells["Last name"],
        "phone": cells["Phone"],
        "birth_date": f"{year}-{month}-{day}",
        "subscribed": {"да": True, "yes": True, "1": True, "": None}.get(cells["Newsletter"].lower(), False),
        "bonus": float(cells["Bonus"].replace(",", ".")),
        "orders": int(cells["Promo code"]) % 40,
        "tags": [tag.strip() for tag in cells["Tags"].split(";") if tag],
        "address": {"city": cells["City"], "country": "RU" if cells["City"] in RUSSIAN_CITIES else "GB"},
    }


# --- what is to be expected --------------------------------------------------------------------


def rows(*ends: str) -> int:
    """How many rows have faults that end so."""
    return sum(fault.rows for fault in FAULTS if fault.ends in ends)


def first_run() -> dict[str, int]:
    """How the rows of the CSV file end when it is run for the first time."""
    read = PEOPLE + sum(fault.rows for fault in FAULTS if fault.later and fault.outcome != NO_ROW)
    bad = {end: rows(end) for end in (REJECTED, IN_DOUBT, "unusable", SKIPPED)}
    return {"read": read, ACCEPTED: read - sum(bad.values()), **bad}


def second_run() -> dict[str, int]:
    """How they end the second time: what was in doubt is asked again, and the platform recognises it."""
    first = first_run()
    skipped = first[ACCEPTED] + first[REJECTED] + first[SKIPPED]
    again = {ACCEPTED: first[IN_DOUBT], REJECTED: 0, IN_DOUBT: 0, "unusable": first["unusable"], SKIPPED: skipped}
    return {"read": first["read"], **again}


def engaged() -> int:
    """How many people are engaged, once each, however often the file is run."""
    first = first_run()
    return first[ACCEPTED] + first[IN_DOUBT]


def table_of_faults() -> str:
    """Each fault, how many rows have it, and how they end."""
    lines = [f"| {fault.what} | {fault.rows} | {fault.outcome} |" for fault in FAULTS]
    return "\n".join(["| fault | rows | the first run ends them as |", "|---|---:|---|", *lines])


def table_of_outcomes() -> str:
    """What both runs of the CSV file and one of the JSONL file count."""
    first, second = first_run(), second_run()
    jsonl = {"read": JSONL_ROWS, ACCEPTED: JSONL_ROWS}
    lines = [f"| {name} | {first[name]} | {second[name]} | {jsonl.get(name, 0)} |" for name in first]
    head = "| rows | `crm_contacts.csv` | the same again | `crm_contacts.jsonl` |"
    return "\n".join([head, "|---|---:|---:|---:|", *lines, "| exit code | 5 | 1 | 0 |"])


README = """\
# Sample data

An invented CRM export with the faults that real ones have. `make demo` sends it to a stand-in for the platform,
twice; `make samples` writes it anew, byte for byte the same. This page is written by `make_samples.py`, too.

| file | what it is |
|---|---|
| `crm_contacts.csv` | the export: {read} rows, UTF-8, commas, a header |
| `crm_contacts.jsonl` | {jsonl} people of it without faults, with numbers, lists and objects |
| `crm-contacts.toml` | the job for the export, every line explained: copy this one |
| `crm-contacts-jsonl.toml` | the job for the JSONL file |

Nobody in it is real: addresses end in example.com, example.org and example.net, phone numbers begin with
+7 900 000, +44 7700 900 and +1 202 555 01.

## What a run counts

{outcomes}

{engaged} people are engaged, once each, however often the file is run: the row in doubt was engaged, too, only its
answer was lost. The second run asks for it again under the same Request-ID, and the platform recognises it.

## What is wrong with it

{faults}

All ids have leading zeros, all bonuses a decimal comma; phones are written in seven ways, yes and no in two languages.
The first ten rows are as they should be.
"""


def readme() -> bytes:
    """The page about it all."""
    page = README.format(
        read=first_run()["read"],
        jsonl=JSONL_ROWS,
        outcomes=table_of_outcomes(),
        engaged=engaged(),
        faults=table_of_faults(),
    )
    return page.encode()


def main(folder: Path) -> None:
    """Write everything, and say what is to be expected."""
    made = export()
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "crm_contacts.csv": csv_file(made.records),
        "crm_contacts.jsonl": jsonl_file(made.clean),
        "README.md": readme(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    print(f"{folder}: {', '.join(files)}", table_of_outcomes(), table_of_faults(), sep="\n\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
