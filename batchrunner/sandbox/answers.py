"""What the platform can answer: the documented codes, and the answer as a value."""

from __future__ import annotations

from dataclasses import dataclass

TEXTS = {
    0: "Successful operation",
    400: "Incorrect request",
    401: "API token required",
    402: "Tariff limit reached",
    403: "No rights for this action",
    404: "Object not in the token's vision zone",
    409: "Another record has the same unique attributes",
    413: "Database not available in the selected resource",
    415: "Content type not supported",
    435: "Ambiguous search, several objects match",
    441: "Object belongs to another group",
    450: "Incorrect request",
    500: "Internal service error",
    501: "Method does not exist",
}
"""The documented codes, in our own words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict of the platform, before it is written as JSON or XML."""

    code: int
    text: str
    profile_id: str | None = None
    items: tuple[Answer, ...] | None = None
    """Of a request about many profiles: one for each."""
    task: str | None = None
    file: str | None = None
    """The key of a file that was uploaded."""
    scenarios: tuple[int, ...] | None = None
    """A list of scenarios, by their numbers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as bytes. `code` is the API code inside, None for a page that is not the platform's."""

    status: int
    content_type: str
    body: bytes
    code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


class RefusalError(Exception):
    """The platform says no, with a documented code."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.answer = refused(code, detail)


def refused(code: int, detail: str = "") -> Answer:
    """The error answer for a code; codes outside the table get a neutral text."""
    text = TEXTS.get(code, "Unlisted error")
    return Answer(code, f"{text}: {detail}" if detail else text)


def accepted(profile_id: str | None) -> Answer:
    """The success answer."""
    return Answer(0, TEXTS[0], profile_id)
