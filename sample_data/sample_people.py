"""Invented people, most of them with Russian names, written as a CRM writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

SEED = 20

COLUMNS = (
    "Client ID",
    "First name",
    "Last name",
    "E-mail",
    "Phone",
    "Birth date",
    "City",
    "Newsletter",
    "Bonus",
    "Tags",
    "Promo code",
    "Comment",
)

Cells = dict[str, str]
T = TypeVar("T")


# --- words -------------------------------------------------------------------------------------

RUSSIAN_MEN = ("Иван", "Пётр", "Алексей", "Сергей", "Дмитрий", "Николай", "Юрий", "Фёдор", "Михаил", "Андрей")
RUSSIAN_WOMEN = ("Анна", "Ольга", "Мария", "Елена", "Наталья", "Юлия", "Ирина", "Софья", "Татьяна", "Дарья")
RUSSIAN_SURNAMES = (
    *("Иванов", "Смирнов", "Кузнецов", "Соколов", "Попов", "Лебедев", "Козлов", "Новиков", "Морозов", "Волков"),
    *("Зайцев", "Щукин", "Киселёв", "Яковлев", "Журавлёв", "Цветков", "Чернов", "Ершов", "Орехов", "Хохлов"),
)
ENGLISH_NAMES = ("Alice", "Ben", "Chloe", "Daniel", "Emma", "Frank", "Grace", "Henry", "Isla", "Jack")
ENGLISH_SURNAMES = ("Brown", "Clarke", "Evans", "Green", "Hughes", "Khan", "Moore", "O'Neill", "Smith-Jones", "Wood")
RUSSIAN_CITIES = ("Москва", "Санкт-Петербург", "Казань", "Тверь", "Омск", "Нижний Новгород", "Йошкар-Ола")
ENGLISH_CITIES = ("London", "Leeds", "York", "Bath", "Stratford-upon-Avon")
DOMAINS = ("example.com", "example.org", "example.net")
YES_NO = ("да", "нет", "Да", "Нет", "yes", "no", "YES", "No", "1", "0", "")
TAGS = ("vip", "wholesale", "новый", "постоянный", "b2b", "reactivated", "loyal")
SEPARATORS = (";", "; ", " ; ")
COMMENTS = (
    "",
    "",
    "",
    "Просил звонить после 18:00",
    "Prefers e-mail",
    "Скидка 5%, по карте",
    "Met at the fair, stand 12",
)

LATIN = dict(zip("абвгдеёзийклмнопрстуфыэ", "abvgdeeziyklmnoprstufye", strict=True))
LATIN |= {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya"}  # noqa: RUF001  Russian letters


# --- people ------------------------------------------------------------------------------------


def pick(chance: Random, choices: Sequence[T]) -> T:
    """One of these."""
    return choices[int(chance.random() * len(choices))]


def people(count: int) -> Iterator[Cells]:
    """So many of them, without a fault."""
    chance = Random(SEED)
    taken: set[str] = set()
    for number in range(count):
        yield person(chance, number, taken)


def person(chance: Random, number: int, taken: set[str]) -> Cells:
    """One person, with an address that nobody else has."""
    russian = chance.random() < 0.7  # noqa: PLR2004  a share
    first, last = russian_name(chance) if russian else (pick(chance, ENGLISH_NAMES), pick(chance, ENGLISH_SURNAMES))
    cells = {
        "Client ID": f"{123 + number:05}",
        "First name": first,
        "Last name": last,
        "E-mail": address(first, last, pick(chance, DOMAINS), taken),
        "Phone": russian_phone(chance, number) if russian else english_phone(chance, number),
        "Birth date": f"{between(chance, 1, 28):02}.{between(chance, 1, 12):02}.{between(chance, 1950, 2006)}",
        "City": pick(chance, RUSSIAN_CITIES if russian else ENGLISH_CITIES),
        "Newsletter": pick(chance, YES_NO),
        "Bonus": f"{between(chance, 0, 4999)},{between(chance, 0, 99):02}",
        "Tags": tags(chance),
        "Promo code": f"{between(chance, 0, 99999):05}",
        "Comment": pick(chance, COMMENTS),
    }
    return {column: cells[column] for column in COLUMNS}


def between(chance: Random, least: int, most: int) -> int:
    """A whole number, both ends included."""
    return least + int(chance.random() * (most - least + 1))


def russian_name(chance: Random) -> tuple[str, str]:
    """First and last name that agree with each other."""
    surname = pick(chance, RUSSIAN_SURNAMES)
    if chance.random() < 0.5:  # noqa: PLR2004  a share
        return pick(chance, RUSSIAN_MEN), surname
    return pick(chance, RUSSIAN_WOMEN), f"{surname}а"  # noqa: RUF001  a Russian ending


def address(first: str, last: str, domain: str, taken: set[str]) -> str:
    """`olga.smirnova@example.com`, `olga.smirnova2@example.com` and so on."""
    name = f"{latin(first)}.{latin(last)}"
    number = 1
    while (local := name if number == 1 else f"{name}{number}") in taken:
        number += 1
    taken.add(local)
    return f"{local}@{domain}"


def latin(name: str) -> str:
    """A name as it stands in an address."""
    letters = "".join(LATIN.get(letter, letter) for letter in name.lower())
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())


def russian_phone(chance: Random, number: int) -> str:
    """+7 900 000-…, in one of the ways in which people write it."""
    a, b = f"{number // 100:02}"[-2:], f"{number % 100:02}"
    spellings = (
        f"+7 (900) 000-{a}-{b}",
        f"+7900000{a}{b}",
        f"8900000{a}{b}",
        f"7900000{a}{b}",
        f"8 (900) 000 {a} {b}",
        f"8-900-000-{a}-{b}",
        f"900 000 {a}{b}",
    )
    return pick(chance, spellings)


def english_phone(chance: Random, number: int) -> str:
    """From the ranges kept for films and novels: +44 7700 900…, +1 202 555 01…."""
    return pick(chance, (f"+44 7700 900{number % 1000:03}", f"+1 (202) 555-01{number % 100:02}"))


def tags(chance: Random) -> str:
    """None to three of them."""
    chosen = dict.fromkeys(pick(chance, TAGS) for _ in range(between(chance, 0, 3)))
    return pick(chance, SEPARATORS).join(chosen)
