"""The platform's XML, both ways: canonical JSON becomes a request, an answer becomes plain values.

The root is `<xml>`, a field is an element, and an item of an array is an element with `array='true'`:

    {"phones":["+79001234567","+79001234568"]}
    <phones array='true'>+79001234567</phones><phones array='true'>+79001234568</phones>

Everything in XML is text. What has no text is written as an empty element: null, "", and an array or an object without
anything in it [inferred].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import msgspec

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

_AS_TEXT = {"\r": "&#13;"}
"""A reader of XML makes a line feed of a carriage return, unless it is written so."""

_decode = msgspec.json.Decoder(dict[str, object], float_hook=str).decode


def as_xml(payload: bytes, **first: str) -> bytes:
    """A JSON object as a request in XML, `first` in front. Raises ValueError for a payload that is no object."""
    fields = {**first, **_decode(payload)}
    return f"{HEAD}<xml>{''.join(_elements(fields))}</xml>".encode()


def element(name: str, text: str) -> str:
    """One element with a text."""
    return f"<{name}>{escape(text, _AS_TEXT)}</{name}>"


def _elements(fields: Mapping[str, object]) -> Iterator[str]:
    for name, value in fields.items():
        if not isinstance(value, list):
            yield f"<{name}>{_content(value)}</{name}>"
        elif value:
            yield from (f"<{name} array='true'>{_content(item)}</{name}>" for item in value)
        else:
            yield f"<{name} array='true'></{name}>"


def _content(value: object) -> str:
    match value:
        case dict():
            return "".join(_elements(value))
        case list():  # an array in an array: its items have no name of their own
            return "".join(_elements({"item": value}))
        case bool():
            return "true" if value else "false"
        case None:
            return ""
    return escape(str(value), _AS_TEXT)


def from_xml(content: bytes) -> dict[str, object] | None:
    """The fields of an answer; None for what is no answer in XML. Entities and document types are refused unread."""
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415  only jobs that speak XML need a parser
    from defusedxml.ElementTree import ParseError, fromstring  # noqa: PLC0415

    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    return _fields(root) if root.tag == "xml" else None


def _fields(parent: Element) -> dict[str, object]:
    fields: dict[str, object] = {}
    for child in parent:
        if child.get("array") != "true":
            fields[child.tag] = _value(child)
            continue
        items = fields.setdefault(child.tag, [])
        if isinstance(items, list) and (len(child) or child.text):
            items.append(_value(child))
    return fields


def _value(one: Element) -> object:
    return _fields(one) if len(one) else one.text or ""
