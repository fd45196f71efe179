"""What a job says of rows that go by other requests than its call: two steps, and updates of people engaged before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from pydantic_core import PydanticCustomError

from batchrunner.endpoints import DEFAULT, ENDPOINTS

Mode = Literal["single", "split"]
OnChange = Literal["engage", "update", "skip"]


class _Target(Protocol):
    @property
    def endpoint(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def db_id(self) -> int | None: ...


class _SaysOfChanges(Protocol):
    @property
    def on_change(self) -> OnChange: ...


class _Rules(_SaysOfChanges, Protocol):
    @property
    def repeat(self) -> str: ...


def check_steps(target: _Target, rules: _Rules, *, broker: bool) -> None:
    """The job's call can be made in the steps that are asked for. Raises PydanticCustomError."""
    _check_mode(target, broker=broker)
    _check_on_change(target, rules, broker=broker)
    _check_database(target, rules)


def notes_on_steps(target: _Target, rules: _SaysOfChanges) -> Iterator[str]:
    """What a user should know of them before relying on it, a sentence each."""
    if target.mode == "split":
        yield (
            f'target.mode = "split": each row is two requests, profiles/import into database {target.db_id} and then '
            "workflows/start with the profile id that it tells; how workflows/start is asked is inferred: "
            "send a few rows first (--limit 3), and look at what they did"
        )
    if rules.on_change == "update":
        yield (
            'rules.on_change = "update": a changed row about a person who was engaged before goes through '
            f"profiles/import into database {target.db_id}, and nobody is engaged by it"
        )
    if rules.on_change == "skip":
        yield 'rules.on_change = "skip": a changed row about a person who was engaged before is left out'


def _check_mode(target: _Target, *, broker: bool) -> None:
    if target.mode == "single":
        return
    if target.endpoint != DEFAULT.name:
        raise PydanticCustomError(
            "mode",
            "'target.mode': \"split\" is another way of {call}, and {other} has none; remove `mode`, or `endpoint`",
            {"call": DEFAULT.name, "other": target.endpoint},
        )
    if broker:
        raise PydanticCustomError("mode", "'target.mode': \"split\" goes over HTTP only; remove `mode`, or [rabbitmq]")


def _check_on_change(target: _Target, rules: _Rules, *, broker: bool) -> None:
    if rules.on_change == "engage":
        return
    context = {"wish": rules.on_change, "call": target.endpoint, "only": DEFAULT.name, "repeat": rules.repeat}
    if not ENDPOINTS[target.endpoint].engages:
        raise PydanticCustomError(
            "on_change", "'rules.on_change': {call} engages nobody, so nothing is to be held back; remove it", context
        )
    if rules.repeat != "unchanged":
        raise PydanticCustomError(
            "on_change",
            '\'rules.on_change\': "{wish}" needs repeat = "unchanged": with "{repeat}" nobody looks whether a row '
            "has changed; remove one of them",
            context,
        )
    if rules.on_change == "update" and target.endpoint != DEFAULT.name:
        raise PydanticCustomError(
            "on_change",
            '\'rules.on_change\': "update" goes with {only}, not with {call}; take "skip", or change target.endpoint',
            context,
        )
    if rules.on_change == "update" and broker:
        raise PydanticCustomError(
            "on_change", '\'rules.on_change\': "update" goes over HTTP only; take "skip", or remove [rabbitmq]'
        )


def _check_database(target: _Target, rules: _Rules) -> None:
    """Of the one call that needs the database's number in some jobs only."""
    if target.endpoint != DEFAULT.name:
        return
    imports = target.mode == "split" or rules.on_change == "update"
    if imports and target.db_id is None:
        wish = 'mode = "split"' if target.mode == "split" else 'on_change = "update"'
        raise PydanticCustomError(
            "needs", "'target': `db_id` is missing; profiles/import needs it, which {wish} asks for", {"wish": wish}
        )
    if not imports and target.db_id is not None:
        raise PydanticCustomError(
            "needs", "'target': `db_id` goes with other calls, {call} has none; remove it", {"call": target.endpoint}
        )
