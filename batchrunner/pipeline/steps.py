"""Rows that go in steps: what becomes of a row whose request is in doubt, by the step that it had come to. Pure.

    it had left as          in doubt is                 where the job goes in two steps    where it does not
    the job's own call      whether it was engaged      waits for a person                 as the policy says
    the first of two        only the import             the first again                    new: nobody was engaged
    the second of two       whether it was engaged      as the policy says, the second     waits for a person
    an update               only the import             (as on the right)                  an update again, or new

A person is engaged by one request only, and what may have been that request is repeated as what it was, or not at all:
under its Request-ID, the platform would answer another one as it answered the first.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from batchrunner.gate import Hold, SendNew, SendSame
from batchrunner.model import Importing, Starting, Step, Updating, Value
from batchrunner.pipeline.admission import Judgement, apart


class Steps(Value, frozen=True):
    """What a run does by other requests than the job's call."""

    split: bool = False
    """A row is imported first, and then engaged."""
    updates: bool = False
    """A row that has changed, about a person who was engaged before, is imported only."""


NO_STEPS = Steps()
"""Each row goes by the job's call."""


def resumed(judgement: Judgement, step: Step | None, steps: Steps, harmless: Judgement) -> Judgement:
    """What becomes of a row in doubt that was at this step (None: it went by the job's call).

    `judgement` is what the gate says of it, `harmless` what it says if nobody is engaged by the request in doubt.
    """
    match step:
        case None:
            return _in_another_way(judgement) if steps.split else judgement
        case Starting():
            return _going_on(judgement, step) if steps.split else _in_another_way(judgement)
        case Importing(doubtful):
            return _going_on(harmless, step) if steps.split else _anew(harmless, doubtful=doubtful)
        case Updating():
            return _going_on(harmless, step) if steps.updates else _anew(harmless, doubtful=False)
        case _:
            assert_never(step)


def _in_another_way(judgement: Judgement) -> Judgement:
    return apart(judgement) if isinstance(judgement.decision, SendSame) else judgement


def _going_on(judgement: Judgement, step: Step) -> Judgement:
    return judgement if isinstance(judgement.decision, Hold) else replace(judgement, step=step)


def _anew(judgement: Judgement, *, doubtful: bool) -> Judgement:
    if isinstance(judgement.decision, Hold):
        return judgement
    return Judgement(SendNew(), doubtful=doubtful, takes_over=judgement.takes_over)
