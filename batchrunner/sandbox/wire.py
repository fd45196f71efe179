"""Bodies in and answers out, as JSON and as the platform's XML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from batchrunner.sandbox.answers import Answer, RefusalError, Reply

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Body = dict[str, object]
"""A request body: an object with string keys."""

Format = Literal["json", "xml"]

_FORMATS: Final[dict[str, Format]] = {"application/json": "json", "application/xml": "xml"}
_ANSWER_TYPES: Final = {"json": "application/json; charset=utf-8", "xml": "application/xml; charset=utf-8"}
_FIRST_ERROR_STATUS: Final = 400
_LAST_ERROR_STATUS: Final = 599

# XML has only text: the documented fields of these names are numbers and truth values.
_XML_INTEGERS: Final = frozenset({"workflow_id", "trigger_id", "db_id", "resource_id", "priority", "_status"})
_XML_BOOLEANS: Final = frozenset({"skip_triggers", "skip_invalid_subscriptions", "detect_geo"})


def format_of(content_type: str) -> Format | None:
    """What a body of this content type is written in, None for a type the platform does not support."""
    return _FORMATS.get(content_type.partition(";")[0].strip().lower())


def read_body(content_type: str, raw: bytes) -> Body:
    """Read a request body. Raises RefusalError with 415 or 400."""
    form = format_of(content_type)
    if form is None:
        raise RefusalError(415, content_type or "no Content-Type")
    return _read_json(raw) if form == "json" else _read_xml(raw)


def answer_format(body: Body | None, content_type: str) -> Format:
    """The format of the answer: what the body asks for, else what the body is written in, else JSON."""
    wanted = body.get("format") if body else None
    if wanted == "json" or wanted == "xml":  # noqa: PLR1714 - this spelling narrows the type
        return wanted
    return format_of(content_type) or "json"


def render(answer: Answer, form: Format, *, mirror: bool) -> Reply:
    """The answer as bytes; `mirror` sends an API error's code as the HTTP status too, where it can be one."""
    body = _as_json(answer) if form == "json" else _as_xml(answer)
    mirrored = mirror and _FIRST_ERROR_STATUS <= answer.code <= _LAST_ERROR_STATUS
    return Reply(answer.code if mirrored else 200, _ANSWER_TYPES[form], body, answer.code)


def _read_json(raw: bytes) -> Body:
    try:
        body = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise RefusalError(400, "the body is not an object")
    return body


def _read_xml(raw: bytes) -> Body:
    try:
        root = fromstring(raw, forbid_dtd=True)
        if root.tag != "xml":
            raise RefusalError(400, f"the root element is <{root.tag}>, not <xml>")
        body = _object(root)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise RefusalError(400, "the body is not XML") from error
    if isinstance(scenario := body.get("id"), str):  # of the call itself; deeper down it may be anybody's field
        body["id"] = _integer("id", scenario)
    return body


def _object(parent: Element) -> Body:
    """An element with children as an object. Repeated elements with array='true' are the items of one array."""
    fields: Body = {}
    for child in parent:
        if child.get("array") == "true":
            items = fields.setdefault(child.tag, [])
        elif child.tag in fields:
            raise RefusalError(400, f"<{child.tag}> is repeated without array='true'")
        else:
            fields[child.tag] = _value(child)
            continue
        if not isinstance(items, list):
            raise RefusalError(400, f"<{child.tag}> is both an array and not")
        if len(child) or child.text:
            items.append(_value(child))
    return fields


def _value(element: Element) -> object:
    if len(element):
        return _object(element)
    text = element.text or ""
    if element.tag in _XML_INTEGERS:
        return _integer(element.tag, text)
    if element.tag in _XML_BOOLEANS:
        return text.strip().lower() in {"true", "1"}
    return text


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise RefusalError(400, f"{name} is not a whole number") from error


def _as_json(answer: Answer) -> bytes:
    return _ENCODER.encode(_fields_of(answer)).encode(errors="replace")


def _fields_of(answer: Answer) -> dict[str, object]:
    fields: dict[str, object] = {"error": answer.code, "error_text": answer.text}
    if answer.profile_id is not None:
        fields["profile_id"] = answer.profile_id
    if answer.file is not None:
        fields = {"data": {"file": answer.file}, **fields}
    if answer.scenarios is not None:
        listed = [{"id": one, "name": f"Scenario {one}", "list_id": 1, "is_active": True} for one in answer.scenarios]
        fields = {"data": listed, **fields, "total": len(listed)}
    if answer.items is not None:
        fields["result"] = list(map(_fields_of, answer.items))
    if answer.task is not None:
        fields["task_id"] = answer.task
    return fields


def _as_xml(answer: Answer) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<xml>{_elements_of(answer)}</xml>'.encode(errors="replace")


def _elements_of(answer: Answer) -> str:
    data = "" if answer.file is None else f"<data><file>{answer.file}</file></data>"
    identifier = "" if answer.profile_id is None else f"<profile_id>{answer.profile_id}</profile_id>"
    items = "".join(f"<result array='true'>{_elements_of(item)}</result>" for item in answer.items or ())
    task = "" if answer.task is None else f"<task_id>{answer.task}</task_id>"
    text = f"<error_text>{escape(answer.text)}</error_text>"
    return f"{data}<error>{answer.code}</error>{text}{identifier}{items}{task}"


def _refuse_constant(name: str) -> object:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
