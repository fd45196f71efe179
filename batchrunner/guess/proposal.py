"""From what columns are called and what they look like to what is sent: one proposal per column, with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrunner.guess.dates import decided
from batchrunner.guess.findings import Sure, less_sure, percent
from batchrunner.guess.looks import Look, look_at
from batchrunner.guess.names import Named, field_name, hint_of, meaning_of
from batchrunner.guess.nodes import cell, first_word, last_word, text_of, without_apostrophes
from batchrunner.guess.sampling import Sample

_CYRILLIC_FIRST = ("RU", "KZ", "BY", "UA")
_TEXT_FIELDS = ("_fname", "_lname", "_city", "_region", "_country", "_postal_code", "_tz")
_NAMED_FIELDS = ("crm_id", "tags", "newsletter", "opt_out", "middle_name")
_MOST_CODES = 4
_HALF, _MARKED = 0.5, 0.9
_FEW_WITHOUT_ADDRESS = 0.05
"""A share of rows with a phone only that is worth looking people up by both; one that is smaller is said."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What becomes of one column."""

    column: str
    look: Look
    target: str | None
    """The field of the request: `email`, `data._fname`, `content.city`; None where nothing is to be said."""
    node: Any
    """What stands there in the job file."""
    sure: Sure
    why: str
    on: bool
    """Whether it is sent; else it stands in the job file as a comment to switch on."""
    note: str | None = None
    """What a person should look at."""
    alternatives: tuple[Any, ...] = ()
    """Other nodes that are just as likely."""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent for each row."""

    matching: str
    search: dict[str, Any]
    """Empty where no column tells whom a row is about."""
    proposals: list[Proposal]
    why: str
    phones: Any = None
    """The node of `data.phones`."""


def propose(sample: Sample) -> Plan:
    """What to do with each column of a sample."""
    looks = look_at_all(sample)
    named = {column: meaning_of(column) for column in sample.columns}
    taken: dict[str, str] = {}
    for column in _in_order_of_trust(sample.columns, named, looks):
        meaning = _meaning(named[column], looks[column])
        if meaning and meaning not in taken:
            taken[meaning] = column
    by_column = {column: meaning for meaning, column in taken.items()}
    proposals = [
        _proposal(_Column(column, place, named[column], looks[column], sample.texts[column]), by_column.get(column))
        for place, column in enumerate(sample.columns, 1)
    ]
    proposals = _one_word_names(proposals, taken, sample)
    return _plan(sample, proposals, looks, taken)


def look_at_all(sample: Sample) -> dict[str, Look]:
    """What each column looks like. Dates that a column leaves open are told by the other ones."""
    regions = _CYRILLIC_FIRST if _is_cyrillic(sample) else ()
    looks = {
        column: look_at(sample.texts[column], hint_of(column), regions, sample.types.get(column))
        for column in sample.columns
    }
    forms = [look.date for look in looks.values() if look.date]
    for column, look in looks.items():
        if look.date and look.date.also and (told := decided(look.date, forms)).also is None:
            why = f"its dates are {told.form}: {told.decided_by}"
            looks[column] = replace(look, date=told, why=why)
    return looks


def _is_cyrillic(sample: Sample) -> bool:
    seen = "".join(sample.columns) + "".join("".join(texts[:50]) for texts in sample.texts.values())
    letters = [character for character in seen if character.isalpha()]
    return sum("Ѐ" <= letter <= "ӿ" for letter in letters) > 0.1 * len(letters)


def _in_order_of_trust(
    columns: Sequence[str], named: Mapping[str, Named | None], looks: Mapping[str, Look]
) -> list[str]:
    """Columns whose names are clear first, then those that are fuller."""
    weight = {"sure": 3, "likely": 2, "guess": 1}

    def trust(column: str) -> tuple[int, bool, int]:
        said = named[column]
        return (-(weight[said.sure] if said else 0), looks[column].filled == 0, -looks[column].filled)

    return sorted(columns, key=trust)


def _meaning(named: Named | None, look: Look) -> str | None:
    """What a column means, where name and values do not contradict each other."""
    if look.kind == "email" and (named is None or named.meaning != "email"):
        return "email"
    if named is None:
        return "phone" if look.kind == "phone" else None
    fits = {
        "email": ("email", "empty"),
        "phone": ("phone", "int", "text", "empty", "float"),
        "_bdate": ("date", "empty"),
        "_regdate": ("date", "empty"),
        "_ip": ("ip",),
        "_regip": ("ip",),
    }
    if named.meaning == "phone" and named.sure == "guess" and look.kind not in ("phone", "empty"):
        return None
    return named.meaning if look.kind in fits.get(named.meaning, (look.kind,)) else None


@dataclass(frozen=True, slots=True)
class _Column:
    """What is known of a column."""

    name: str
    place: int
    named: Named | None
    look: Look
    texts: Sequence[str]


# --- one column --------------------------------------------------------------------------------


def _proposal(known: _Column, meaning: str | None) -> Proposal:
    column, named, look = known.name, known.named, known.look
    one = Proposal(column, look, None, None, _sure(meaning, named, look), _why(meaning, named, look), on=False,
                   evidence=look.evidence)  # fmt: skip
    filled = look.filled > 0 or (look.rows == 0 and one.sure != "guess")
    match meaning:
        case "email":
            return replace(one, target="email", node=cell(column, "email"), on=filled)
        case "phone":
            on = filled and look.kind != "text"
            note = None if on or not filled else "few of its cells are phone numbers"
            return replace(one, target="data.phones", node=cell(column, "phone", **_region(look)), on=on, note=note)
        case "_bdate" | "_regdate":
            return _of_date(replace(one, target=f"data.{meaning}"), look)
        case "_ip" | "_regip":
            return replace(one, target=f"data.{meaning}", node=text_of(column), on=True)
        case "_sex":
            return _of_codes(replace(one, target="data._sex"), known.texts)
        case str() if meaning in _TEXT_FIELDS:
            # Values cannot speak for a name here: one that is only guessed at is left for a person to switch on.
            on = filled and one.sure != "guess"
            return _of_text(replace(one, target=f"data.{meaning}", node=text_of(column), on=on), known.texts)
        case "full_name":
            note = "first and last name in one: say which word is which"
            alternatives = (("data._fname", first_word(column)), ("data._lname", last_word(column)))
            return replace(one, target="data._fname", node=first_word(column), note=note, alternatives=alternatives)
    another = _of_another(replace(one, sure="guess" if meaning is None else one.sure), known.place, meaning, look)
    return _of_text(another, known.texts) if isinstance(another.node, str) else another


def _sure(meaning: str | None, named: Named | None, look: Look) -> Sure:
    """As sure as the name is; values that speak another language lower it, values alone make it likely."""
    if look.rows == 0 and named and meaning:  # a header with nothing beneath it: its names are all there is
        return less_sure(named.sure, "likely")
    if meaning is None or look.kind == "empty":
        return "guess"
    by_name: Sure = named.sure if named and named.meaning == meaning else "likely"
    if meaning in ("email", "phone") and look.share < 0.9:  # noqa: PLR2004  most of them, but not nearly all
        return less_sure(by_name, "likely" if look.share >= _HALF else "guess")
    return by_name


def _why(meaning: str | None, named: Named | None, look: Look) -> str:
    if named and named.meaning == meaning:
        return f"{named.why}; {look.why}"
    if named and meaning is None:
        another = _meaning(named, look) is not None  # the field is taken by a column that is surer or fuller
        return f"{named.why}{';' if another else ', but'} {look.why}"
    return look.why


def _region(look: Look) -> dict[str, object]:
    return {"region": look.options["region"]} if "region" in look.options else {}


def _of_date(one: Proposal, look: Look) -> Proposal:
    if look.date is None:
        return replace(one, node=cell(one.column, "date", format="%Y-%m-%d"), note="no date to see the form by")
    kind = "date" if one.target == "data._bdate" else look.date.kind  # a birthday at 0:00:00 is a day all the same
    node = cell(one.column, kind, format=look.date.form)
    if look.date.also is None:
        return replace(one, node=node, on=True)
    other = cell(one.column, kind, format=look.date.also)
    note = "days and months cannot be told apart by any row: switch the right one on"
    return replace(one, node=node, note=note, alternatives=((one.target, other),), sure="guess")


def _of_text(one: Proposal, texts: Sequence[str]) -> Proposal:
    """Some exports keep spreadsheets from reading `02134` as a number by an apostrophe; it is no part of the text."""
    marked = sum(text.lstrip().startswith("'") for text in texts)
    if not marked or marked < _MARKED * one.look.filled:
        return one
    return replace(one, node=without_apostrophes(one.column), note="the apostrophes in front are taken off")


def _of_codes(one: Proposal, texts: Sequence[str]) -> Proposal:
    note = "platforms differ: yours may want male and female, or 0 and 1"
    words = list(dict.fromkeys(words for text in texts if (words := text.strip())))
    if not 0 < len(words) <= _MOST_CODES:
        return replace(one, node=text_of(one.column), note=note)
    meant = {word: "female" if word[0].casefold() in "fwж" else "male" for word in words}
    return replace(one, node={"column": one.column, "map": meant}, note=note)


def _of_another(one: Proposal, place: int, meaning: str | None, look: Look) -> Proposal:
    """A column that no field of the platform is meant for: a custom field, or a text for messages."""
    name = (
        meaning
        if meaning in ("crm_id", "tags", "newsletter", "opt_out", "middle_name")
        else field_name(one.column, place)
    )
    note = "empty as far as was read" if look.kind == "empty" else None
    options: dict[str, Any] = dict(look.options)
    match look.kind:
        case "int" if meaning in ("crm_id", "_postal_code", "profile_id"):
            node: Any = text_of(one.column)
        case "date" if look.date:
            if look.date.also:
                note = f"days and months cannot be told apart: it may be {look.date.also}"
            node = cell(one.column, look.date.kind, format=look.date.form)
        case "float" if options.pop("grouped", False):
            node = {"template": f"{{{one.column}|replace:' ',''}}", "as": "float", **options}
        case "int" | "float" | "bool" | "list" | "json" | "phone" | "email":
            node = cell(one.column, look.kind, **options)
        case _:
            node = text_of(one.column)
    room = "content" if look.kind in ("text", "url") and meaning is None else "data"
    return replace(one, target=f"{room}.{name}", node=node, note=note)


def _one_word_names(proposals: list[Proposal], taken: Mapping[str, str], sample: Sample) -> list[Proposal]:
    """`Name` is the first name where it is one word, and there is no other column for it."""
    column = taken.get("full_name")
    if column is None or "_fname" in taken:
        return proposals
    texts = [words for words in sample.texts[column] if words.strip()]
    single = sum(len(words.split()) == 1 for words in texts)
    if not texts or single < 0.9 * len(texts):
        return proposals
    why = f"{percent(single, len(texts))} of its filled cells are one word"
    return [
        replace(
            one, target="data._fname", node=text_of(column), on=True, sure="likely", why=why, note=None, alternatives=()
        )
        if one.column == column
        else one
        for one in proposals
    ]


# --- all of them -------------------------------------------------------------------------------


def _plan(sample: Sample, proposals: list[Proposal], looks: Mapping[str, Look], taken: Mapping[str, str]) -> Plan:
    proposals, email, addresses = _with_more_addresses(proposals, sample)
    phones = [one for one in proposals if (one.look.kind == "phone" and one.look.filled and not _sent_elsewhere(one))]
    main = next((one for one in proposals if one.target == "data.phones" and one.on), None)
    more = [one for one in phones if one is not main and main is not None]
    proposals = [
        replace(one, target="data.phones", on=True, sure="likely", note=None) if one in more else one
        for one in proposals
    ]
    numbers = None if main is None else _phone_list([main, *more])
    ids = {meaning: column for meaning, column in taken.items() if looks[column].unique}
    found = _search(sample, email, addresses, [main, *more] if main else [], ids)
    return Plan(found.matching, found.search, proposals, found.why, numbers)


def _with_more_addresses(
    proposals: list[Proposal], sample: Sample
) -> tuple[list[Proposal], Proposal | None, list[str]]:
    """Where the address is empty in some rows, other columns that are called so stand in for it, in file order."""
    main = next((one for one in proposals if one.target == "email" and one.on), None)
    if main is None:
        return proposals, None, []
    chosen = [main.column]
    empty = [not text.strip() for text in sample.texts[main.column]]
    for one in proposals:
        named = meaning_of(one.column)
        if one is main or one.look.kind != "email" or not named or named.meaning != "email" or named.sure == "guess":
            continue
        fills = [place for place, text in enumerate(sample.texts[one.column]) if empty[place] and text.strip()]
        if fills:
            chosen.append(one.column)
            for place in fills:
                empty[place] = False
    if len(chosen) == 1:
        return proposals, main, chosen
    sent = replace(main, node={"pick": chosen, "as": "email"})
    stands_in = f"stands in where '{main.column}' is empty"
    others = {
        one.column: replace(one, target="email", node=None, on=True, sure="likely", note=stands_in)
        for one in proposals
        if one.column in chosen[1:]
    }
    told = [sent if one is main else others.get(one.column, one) for one in proposals]
    return told, sent, chosen


@dataclass(frozen=True, slots=True)
class _Search:
    """How profiles are looked up."""

    matching: str
    search: dict[str, Any]
    why: str


def _sent_elsewhere(one: Proposal) -> bool:
    return one.on and one.target not in (None, "data.phones")


def _phone_list(phones: Sequence[Proposal]) -> Any:  # noqa: ANN401  a node of the job file
    options = {key: value for key, value in phones[0].node.items() if key != "column"}
    if len(phones) == 1:
        return [phones[0].node]
    return {"columns": [one.column for one in phones], **options}


def _search(
    sample: Sample,
    email: Proposal | None,
    addresses: Sequence[str],
    phones: Sequence[Proposal],
    ids: Mapping[str, str],
) -> _Search:
    """How the profile is looked up, by what, and why so."""
    number = _one_phone(phones) if phones else None
    if email:
        by_phone = _rows_with_a_phone_only(sample, addresses, phones)
        if by_phone > _FEW_WITHOUT_ADDRESS * sample.rows:
            why = f"{by_phone} of {sample.rows} rows have no e-mail address, but a phone"
            return _Search("email_phone", {"email": email.node, "phone": number}, why)
        filled = sum(any(map(str.strip, row)) for row in zip(*[sample.texts[one] for one in addresses], strict=True))
        which = f"column '{email.column}' is" if len(addresses) == 1 else f"one of {len(addresses)} columns is"
        why = f"{which} filled in {percent(filled, sample.rows)} of the rows"
        if by_phone:
            why += f"; {by_phone} rows have a phone only: matching = email_phone would take them too"
        return _Search("email", {"email": email.node}, why)
    if phones:
        return _Search("phone", {"phone": number}, "there is no e-mail address")
    if column := ids.get("profile_id"):
        return _Search("profile_id", {"profile_id": text_of(column)}, _by_id(column))
    if column := ids.get("crm_id"):
        return _Search("custom", {"field_name": "crm_id", "field_value": text_of(column)}, _by_id(column))
    return _Search("email", {}, "no column tells whom a row is about")


def _by_id(column: str) -> str:
    return f"there is neither e-mail address nor phone; column '{column}' is another in each row"


def _rows_with_a_phone_only(sample: Sample, addresses: Sequence[str], phones: Sequence[Proposal]) -> int:
    numbers = [sample.texts[one.column] for one in phones]
    mails = [sample.texts[column] for column in addresses]
    return sum(
        any(column[place].strip() for column in numbers) and not any(column[place].strip() for column in mails)
        for place in range(len(mails[0]))
    )


def _one_phone(phones: Sequence[Proposal]) -> Any:  # noqa: ANN401  a node of the job file
    if len(phones) == 1:
        return phones[0].node
    options = {key: value for key, value in phones[0].node.items() if key != "column"}
    return {"pick": [one.column for one in phones], **options}
