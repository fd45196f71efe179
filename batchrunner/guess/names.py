"""What columns are called: names of headers in English and Russian, and which field of the request each means."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from batchrunner.guess.findings import Sure
from batchrunner.guess.looks import Hint

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "email": (
        "email", "e mail", "mail", "email address", "e mail address", "primary email", "work email", "personal email",
        "email 1", "email value", "email 1 value", "contact email", "электронная почта", "почта", "эл почта",
        "имейл", "имэйл", "емейл", "емэйл", "мейл", "адрес электронной почты", "электронный адрес", "почтовый ящик",
        "рабочий email", "рабочая почта", "личный email", "рабочий e mail", "частный e mail", "личный e mail",
        "другой email", "другой e mail", "домашний email", "личная почта", "e mail для рассылок", "email для рассылок",
        "secondary email", "other email", "alternate email", "additional email", "home email", "business email",
        "email work", "email home", "email other",
    ),
    "phone": (
        "phone", "phone number", "mobile", "mobile phone", "mobile number", "cell", "cell phone", "cellphone", "tel",
        "telephone", "telephone number", "phone 1 value", "work phone", "home phone", "msisdn", "primary phone",
        "contact phone", "телефон", "номер телефона", "мобильный", "мобильный телефон", "сотовый", "сотовый телефон",
        "phone work", "phone home", "phone mobile", "mobile phone number", "default address phone", "other phone",
        "business phone", "рабочий прямой телефон", "другой телефон", "мобильный номер",
        "тел", "моб", "моб телефон", "контактный телефон", "рабочий телефон", "домашний телефон", "номер мобильного",
    ),
    "_fname": (
        "first name", "fname", "firstname", "given name", "forename", "name first", "имя", "имя клиента",
        "имя контакта", "имя получателя",
    ),
    "_lname": (
        "last name", "lname", "lastname", "surname", "family name", "second name", "name last", "фамилия",
        "фамилия клиента",
    ),
    "full_name": (
        "name", "full name", "fullname", "contact name", "customer name", "display name", "фио", "ф и о", "полное имя",
        "имя фамилия", "фамилия имя", "фамилия имя отчество", "контакт", "клиент", "название",
    ),
    "middle_name": ("middle name", "patronymic", "mname", "отчество"),
    "_bdate": (
        "birth date", "birthdate", "birthday", "date of birth", "dob", "bdate", "born", "birth", "b day",
        "дата рождения",
        "день рождения", "др", "д р", "рождение",
    ),
    "_regdate": (
        "registered", "registration date", "registered at", "signup date", "sign up date", "created", "created at",
        "created on", "create date", "date created", "date added", "дата регистрации", "дата создания", "создан",
        "создано", "зарегистрирован",
    ),
    "_sex": ("sex", "gender", "пол"),
    "_city": ("city", "town", "address city", "город", "населенный пункт", "город проживания"),
    "_region": ("region", "state", "province", "county", "state region", "state province", "регион", "область", "край"),
    "_country": ("country", "country code", "address country", "country region", "страна", "код страны"),
    "_postal_code": ("postal code", "post code", "postcode", "zip", "zip code", "zip postal code",
                     "address zip", "индекс", "почтовый индекс"),
    "_tz": ("timezone", "time zone", "tz", "часовой пояс"),
    "_ip": ("ip", "ip address", "last ip"),
    "_regip": ("registration ip", "signup ip", "opt in ip", "ip регистрации"),
    "profile_id": ("profile id", "_profile id", "altcraft id", "ид профиля"),
    "crm_id": (
        "id", "client id", "customer id", "contact id", "crm id", "external id", "внешний id",
        "внешний код", "внешний ид", "user id", "record id", "lead id",
        "account id", "guid", "uuid", "код", "код клиента", "ид", "идентификатор", "номер клиента", "id клиента",
        "ид клиента", "№",
    ),
    "_lang": ("language", "lang", "locale", "preferred language", "язык"),
    "tags": ("tags", "labels", "segments", "groups", "теги", "метки", "сегменты", "группы"),
    "opt_out": (
        "email opt out", "opt out", "optout", "opted out", "has opted out of email", "unsubscribed", "do not email",
        "do not contact", "отписан", "отписка", "отказ от рассылки", "отписан от рассылки",
    ),
    "newsletter": (
        "newsletter", "subscribed", "opt in", "optin", "email opt in", "consent", "marketing consent",
        "accepts marketing", "mailing", "подписка", "подписан", "согласие", "рассылка", "согласие на рассылку",
    ),
}  # fmt: skip
"""For each meaning, what headers say, as `plain` writes it."""

HINTS: Mapping[str, Hint] = {
    "email": "email", "phone": "phone", "_bdate": "date", "_regdate": "date", "crm_id": "id", "profile_id": "id",
    "_fname": "name", "_lname": "name", "full_name": "name", "middle_name": "name", "_postal_code": "id",
    "_city": "name", "_region": "name", "_country": "name", "_sex": "name",
}  # fmt: skip

_DATE_WORDS = {"date", "at", "on", "дата", "день", "birthday", "когда"}
_WORDS_OF_PLACES = {"address", "street", "адрес", "улица"}
_ID_WORDS = {
    "id", "ids", "no", "number", "code", "sku", "promo", "inn",
    "инн", "кпп", "код", "номер", "промокод", "карта", "ид", "артикул",
}  # fmt: skip
_MORE = ("contact", "client", "customer", "user", "person", "lead", "subscriber", "member", "billing", "shipping",
         "mailing", "your", "the", "primary", "main", "default", "value", "клиента", "клиент", "контакта", "контакт",
         "покупателя", "пользователя", "получателя", "основной", "основная", "ваш", "ваше", "ваша")  # fmt: skip
"""Words around a name that change nothing."""
_TURNED_ROUND = {"out", "no", "not", "un", "opt", "owner", "не", "нет", "ответственный", "менеджер"}
"""Words that make something else of a name that is near: `Email opt out` is no `Email opt in`, an owner no contact."""
_NEAR = 0.8
_SHORT = 4
"""A shorter name is not guessed at by similarity: `tel` and `tea` are near."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a header means."""

    meaning: str
    sure: Sure
    why: str


@functools.lru_cache(10_000)
def plain(header: str) -> str:
    """A header in small letters with single blanks: `FirstName`, `first_name` and `First  name:` are the same."""
    apart = re.sub(r"(?<=[a-zа-я])(?=[A-ZА-Я])", " ", header)
    words = re.sub(r"[\W_]+", " ", apart.casefold().replace("ё", "е").replace("№", " № "))
    if "№" in header and not words.strip():
        return "№"
    return " ".join(words.split())


_BY_NAME = {name: meaning for meaning, names in SYNONYMS.items() for name in names}


def meaning_of(header: str) -> Named | None:
    """The field that a header speaks of, or None."""
    name = plain(header)
    if meaning := _BY_NAME.get(name):
        return Named(meaning, "sure", f"'{header.strip()}' is a name for it")
    words = [word for word in name.split() if word not in _MORE and not word.isdigit()]
    if (core := " ".join(words)) != name and (meaning := _BY_NAME.get(core)):
        return Named(meaning, "likely", f"'{header.strip()}' says '{core}'")
    tight = name.replace(" ", "")
    for known, meaning in _BY_NAME.items():
        if len(tight) >= _SHORT and known.replace(" ", "") == tight:
            return Named(meaning, "likely", f"'{header.strip()}' is '{known}' but for its blanks")
    if len(name) < _SHORT:
        return None
    if set(name.split()) & _TURNED_ROUND:
        return None
    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=_NEAR)
    if near and len(near[0]) >= _SHORT:
        return Named(_BY_NAME[near[0]], "guess", f"'{header.strip()}' is nearly '{near[0]}'")
    return None


def hint_of(header: str) -> Hint:
    """What a header says about how its values are to be read."""
    named = meaning_of(header)
    if named and named.sure != "guess" and named.meaning in HINTS:
        return HINTS[named.meaning]
    words = set(plain(header).split())
    if words & _DATE_WORDS:
        return "date"
    if words & _WORDS_OF_PLACES:
        return "name"
    return "id" if words & _ID_WORDS else ""


def is_a_name(header: str) -> bool:
    """Whether this is what a column is called, by the list of names."""
    named = meaning_of(header)
    return named is not None and named.sure != "guess"


def field_name(header: str, place: int) -> str:
    """A name for a field of the platform's own: Latin letters, digits and underscores."""
    letters = "".join(_LATIN.get(character, character) for character in plain(header))
    name = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    return name if name and not name[0].isdigit() else f"column_{place}"


_LATIN = dict(
    zip(
        "абвгдезийклмнопрстуфхъыьэ",
        ["a", "b", "v", "g", "d", "e", "z", "i", "y", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "h", "",
         "y", "", "e"],
        strict=True,
    )
) | {"ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya", "№": "no"}  # fmt: skip


def latin(text: str) -> str:
    """A text in Latin letters, for names."""
    return "".join(_LATIN.get(character, character) for character in text.lower().replace("ё", "е"))
