"""What a user should know of a job before relying on it, though nothing is wrong with it: said by `check`."""

from __future__ import annotations

from collections.abc import Iterator

from batchrunner.config.job import SEARCH_FIELDS, Job
from batchrunner.config.steps import notes_on_steps


def notes_on(job: Job) -> Iterator[str]:
    """A sentence each."""
    yield from _open_to_all(job)
    yield from _unused_search(job)
    yield from _goes_alone(job)
    yield from notes_on_steps(job.target, job.rules)
    call = job.target.call
    if call.sure == "inferred":
        yield (
            f"target.endpoint: how {call.name} is asked is inferred, the vendor's text does not say it; "
            "send a few rows first (--limit 3), and look at what they did"
        )
    if call.sure == "sister":
        yield (
            f"target.endpoint: how {call.name} is asked or answers is taken from a sister call of the vendor; "
            "send a few rows first (--limit 3), and look at what they did"
        )


def _open_to_all(job: Job) -> Iterator[str]:
    if job.source.path.lower().startswith("http://"):
        yield "source.path: over http:// anybody on the way can read the export; write https:// if its server has that"


def _unused_search(job: Job) -> Iterator[str]:
    """Search fields of other modes: they are no profile fields, and go nowhere."""
    asked, used = job.request, SEARCH_FIELDS[job.request.matching]
    others = dict.fromkeys(name for names in SEARCH_FIELDS.values() for name in names if name not in used)
    unused = [name for name in others if getattr(asked, name) is not None]
    if unused:
        keys = " and ".join(f"request.{name}" for name in unused)
        yield (
            f'{keys}: not sent, because matching = "{asked.matching}" looks profiles up by {" and ".join(used)}; '
            "remove it, or choose another `matching`; what is to be stored belongs under [request.data]"
        )


def _goes_alone(job: Job) -> Iterator[str]:
    call = job.target.call
    own = ("attach",) if job.batch.content == "inside" else ("content", "attach")
    alone = [name for name in own if getattr(job.request, name)]
    if call.item is None or not call.takes.issuperset({"content", "attach"}):
        return
    if alone:
        yield (
            f"request.{' and request.'.join(alone)}: a batch has no place for it; rows that have it are sent one by "
            f"one, through {call.alone}"
        )
    if job.batch.content == "inside" and job.request.content:
        yield (
            "batch.content: that a profile in a batch may have `content` of its own is inferred, the vendor's text "
            "names it as a parameter only; send a few rows first (--limit 3), and look at what they got"
        )
