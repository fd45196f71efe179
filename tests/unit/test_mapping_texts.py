"""The mapping as a stored text: equal for equal mappings, and a job again when it is read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from batchrunner.chunks import Chunk
from batchrunner.config import Job
from batchrunner.errors import ConfigError
from batchrunner.mapping import compile_mapping, job_from_mapping_text, mapping_text
from batchrunner.model import Request, Row, Source, Unusable

REQUEST = """
matching = "email_phone"
email = { column = "Email", as = "email" }
phone = { template = "+7{Phone}", as = "phone", region = "RU" }
skip_triggers = false
attach = [{ name = "a.txt", data = "{File}" }]
[data]
_bdate = { column = "Birth date", as = "date", format = "%d.%m.%Y", empty = "null" }
vip = { column = "VIP", as = "bool", true = ["да"], false = ["нет"], default = false }
object = { column = 5, day = 2024-01-01 }
[[data.subscriptions]]
resource_id = 7
email = "{Email}"
[content]
greeting = "Здравствуйте, {Name}!"
rate = 1.0
"""
ROW = {
    "Email": "A@B.cz", "Phone": "9001234567", "File": "QQ==", "Birth date": "01.02.1990", "VIP": "ДА", "Name": "Анна",
}  # fmt: skip


def job_of(request: str = REQUEST, rules: dict[str, Any] | None = None, **target: object) -> Job:
    """A job with this [request]."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv", "optional": ["X"]},
            "target": {"url": "https://altcraft.example.com", "workflow_id": 12, **target},
            "request": tomllib.loads(request),
            "rules": rules or {},
            "limits": {"concurrency": 3},
            "file": Path("/jobs/crm.toml"),
        }
    )


def end_of(job: Job) -> Request | Unusable:
    """What the row becomes."""
    mapper = compile_mapping(job, Source("/in/crm.csv", "f" * 32, 1), list(ROW), "crm.csv")
    (end,) = mapper.map(Chunk(list(ROW), [Row(1, 2, tuple(ROW.values()))], [tuple(ROW.values())]))
    return end


def test_an_earlier_mapping_can_be_compiled_again() -> None:
    """The old mapping gives the old keys and payloads, whatever the job file says now."""
    old = job_of(rules={"repeat": "identity", "empty": "null"})
    now = job_of('email = "{Email}"', workflow_id=99, url="https://new.example.com").model_copy(
        update={"name": "other"}
    )
    again = job_from_mapping_text(mapping_text(old), now)
    assert end_of(again) == end_of(old)
    assert isinstance(end_of(again), Request)
    assert end_of(again) != end_of(now)


def test_what_is_no_mapping_stays_as_the_job_has_it() -> None:
    """Source, limits, connection and the other rules are those of today."""
    old, now = job_of(), job_of('email = "{Email}"', {"in_doubt": "hold"}, timeout="5s", token_file="t")
    again = job_from_mapping_text(mapping_text(old), now)
    assert (again.source, again.limits, again.file) == (now.source, now.limits, now.file)
    assert (again.target.timeout, again.target.token_file, again.target.url) == (
        now.target.timeout, now.target.token_file, now.target.url,
    )  # fmt: skip
    assert (again.rules.in_doubt, again.rules.repeat) == ("hold", "unchanged")
    assert again.request == old.request


def test_a_mapping_text_survives_the_round_trip() -> None:
    """Read and written again, it is the same text."""
    text = mapping_text(job_of(rules={"repeat": "file"}))
    assert mapping_text(job_from_mapping_text(text, job_of('email = "{Email}"'))) == text


def test_the_order_of_keys_does_not_matter() -> None:
    """Tidying a job file is not a change."""
    tables = tomllib.loads(REQUEST)
    turned = {
        name: dict(reversed(table.items())) if isinstance(table, dict) else table for name, table in tables.items()
    }
    other = job_of().model_dump(by_alias=True, exclude_unset=True)
    job = Job.model_validate({**other, "request": dict(reversed(turned.items())), "file": Path("/jobs/crm.toml")})
    assert mapping_text(job) == mapping_text(job_of())


def test_a_default_that_is_written_out_is_no_change() -> None:
    """And neither is what only decides how to send."""
    plain = job_of('email = { column = "Email" }')
    written = job_of(
        'matching = "email"\nemail = { column = "Email", as = "text", required = false }',
        {"repeat": "unchanged", "empty": "omit", "in_doubt": "hold"},
        timeout="5s",
    )
    assert mapping_text(plain) == mapping_text(written)


@pytest.mark.parametrize(
    "other",
    [
        job_of('email = "{Mail}"'),
        job_of('email = "{Email}"\nskip_triggers = false'),
        job_of('email = "{Email}"\ndata.a = 1'),
        job_of('email = "{Email}"', {"empty": "null"}),
        job_of('email = "{Email}"', {"repeat": "identity"}),
        job_of('email = "{Email}"', workflow_id=13),
        job_of('email = "{Email}"', url="https://other.example.com"),
        job_of('email = "{Email}"').model_copy(update={"name": "other"}),
    ],
)
def test_whatever_decides_keys_or_payloads_changes_the_text(other: Job) -> None:
    """Each of these would send rows again."""
    assert mapping_text(other) != mapping_text(job_of('email = "{Email}"'))


def test_the_text_is_canonical_json() -> None:
    """Sorted, dense and readable: it is shown to people when it differs."""
    assert mapping_text(job_of('email = "{Почта}"')) == (
        '{"installation":"https://altcraft.example.com","name":"crm","repair":{},"request":{"email":"{Почта}"},'
        '"rules":{"empty":"omit","repeat":"unchanged"},"source":{"delimiter":",","encoding":"utf-8","format":"auto","quote":"\\""},"workflow_id":12}'
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({"name": "crm"}), mapping_text(job_of()).replace("phone", "fax")]
)
def test_a_text_of_another_version_is_refused_with_a_sentence(text: str) -> None:
    """A ledger may be older or newer than the program."""
    with pytest.raises(
        ConfigError, match=r"^crm\.toml: the mapping of an earlier run cannot be read by this version \("
    ):
        job_from_mapping_text(text, job_of())
