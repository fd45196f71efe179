"""What the result files of a run tell of its rows, each with the key that it had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from batchrunner.cli import compose
from batchrunner.cli.leftovers import whole_rows
from batchrunner.config import Job
from batchrunner.errors import ConfigError
from batchrunner.ledger.recalling import Told
from batchrunner.mapping import job_from_mapping_text, reads_alike
from batchrunner.model import Accepted, Failed, InDoubt, Mapped, Outcome, Record, Rejected, Request
from batchrunner.pipeline import in_file_order
from batchrunner.results import COLUMNS
from batchrunner.sources.places import AtHand

KINDS = "success", "in_doubt", "error"
"""In the order in which they are believed."""

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_LARGEST_ROW = 10**15
_UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a chunk of a result file."""

    told: list[Told]
    untold: int
    """Rows that were sent, or may have been, and of which it cannot be told what was asked."""


def files_of(folder: Path, kind: str) -> list[Path]:
    """Result files of one kind that hold anything; copies for spreadsheets are not what came."""
    named = re.compile(rf"{kind}(-\d+)?\.(csv|jsonl)")
    found = (path for path in folder.iterdir() if named.fullmatch(path.name))
    return sorted(path for path in found if path.stat().st_size)


def as_it_was(job: Job, mapping: str) -> Job:
    """The job as a run had it. Raises ConfigError where its result files cannot be read any more."""
    if not reads_alike(mapping, job):
        raise ConfigError("the job reads files otherwise by now; undo that change under [source], and recall again")
    was = job_from_mapping_text(mapping, job)
    # Whatever is in a result file did pass, and what the condition says may depend on the day.
    return was.model_copy(update={"rules": was.rules.model_copy(update={"when": None})})


def told_rows(job: Job, path: Path) -> Iterator[Page]:
    """The rows of a result file that were claimed, as they stand there. Raises SourceError, ConfigError."""
    source = compose.open_at_hand(job, AtHand(path, str(path)))
    given = whole_rows(path, source, compose.mapped(job, [source])[0])
    for chunk in given.reader.chunks():
        rows = in_file_order(chunk, given.mapper)
        ends = [_told(row) for row in rows]
        half = len(chunk.rows) + len(chunk.broken) - len(rows)
        yield Page([one for one in ends if isinstance(one, Told)], ends.count(None) + half)


class _Said(msgspec.Struct):
    """Our columns; in JSONL numbers are numbers."""

    row: int | str = msgspec.field(name="_row")
    line: int | str = msgspec.field(name="_line")
    source: str = msgspec.field(name="_source")
    outcome: str = msgspec.field(name="_outcome")
    profile_id: str = msgspec.field(name="_profile_id")
    code: str = msgspec.field(name="_error_code")
    text: str = msgspec.field(name="_error_text")


def _told(mapped: Mapped) -> Told | str | None:
    """What is told of a row; `unusable` for one that was never sent, None where it cannot be told."""
    said = _said(mapped.row.record)
    if said is None:
        return None
    if said.outcome == _UNUSABLE:
        return _UNUSABLE
    outcome, number = _outcome(said), int(said.row) if str(said.row).isdecimal() else 0
    if not isinstance(mapped, Request) or outcome is None or not _FINGERPRINT.fullmatch(said.source):
        return None
    if not 0 < number < _LARGEST_ROW:
        return None
    line = re.match(r"\d{1,15}(?= |$)", str(said.line))  # behind the name of a member of a zip it is not told
    ahead = max(0, int(line[0]) - number) if line else 0
    return Told(mapped.key, said.source, number, ahead, outcome)


def _said(record: Record) -> _Said | None:
    if not isinstance(record, str):
        return _Said(*record[: len(COLUMNS)]) if len(record) >= len(COLUMNS) else None
    try:
        return msgspec.json.decode(record.encode(errors="surrogateescape"), type=_Said)
    except msgspec.MsgspecError:
        return None


def _outcome(said: _Said) -> Outcome | None:
    match said.outcome:
        case "accepted":
            return Accepted(said.profile_id or None)
        case "rejected":
            return Rejected(said.code, said.text)
        case "failed":
            return Failed(said.code, said.text)
        case "in_doubt":
            return InDoubt(said.code, said.text)
        case _:
            return None
