"""How a sandbox behaves: one frozen value, readable from the command line and from JSON. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from batchrunner.sandbox.faults import parse_fault
from batchrunner.sandbox.methods import METHODS

DEFAULT_TOKEN: Final = "sandbox-token"  # noqa: S105 - the stand-in's public token, protects nothing
_WHOLE: Final = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """All options of a sandbox. Durations are in seconds, shares in percent of requests.

    - `token`: the only API token with rights. None is 401, another is 403.
    - `http_status`: "ok" answers API errors with HTTP 200; "mirror" sends the API code as the HTTP status too.
    - `workflow_ids`, `resource_ids`: what exists (else 404, 413); None means any positive number.
    - `fail`: (API code, percent) pairs: this share of executed calls gets that error and has no effect, except that
      `fail_500_after_percent` of the 500s come after the effect.
    - `faults`: (fault name, percent) pairs, see `batchrunner.sandbox.faults`.
    - `only`: the call that `fail`, `faults` and aimed faults strike, as "workflows/start"; "" for all of them.
    - `dedupe_window_s`: for how long a Request-ID is recognised, counted from its first request; 0 turns it off.
    - `dedupe_capacity`: how many Request-IDs are kept at most; the oldest are forgotten first.
    - `remember_errors`: whether a repeat of a refused call gets the refusal again. False: it is executed anew, also
      after a 500 that came after the effect.
    - `latency_s`, `jitter_s`: each executed call is answered this much later, plus up to the jitter.
    - `rate_limit`: calls per second (bursts of one second's worth), above it HTTP 429; 0 is no limit.
    - `batch_item`: how items of a batch have to be written: "wrapped", "flat" or "any".
    - `batch_refusals`: "items" answers a batch of one that is refused with an item; "whole" with its refusal alone.
    - `seed`: of everything random.
    - `amqp`: of a broker whose queue `api_req` is answered as well. Read once, at the start.
    - `keep_requests`: how many raw requests `/_sandbox/requests` can show.
    """

    token: str = DEFAULT_TOKEN
    http_status: Literal["ok", "mirror"] = "ok"
    workflow_ids: frozenset[int] | None = None
    resource_ids: frozenset[int] | None = None
    fail: tuple[tuple[int, float], ...] = ()
    fail_500_after_percent: float = 50
    faults: tuple[tuple[str, float], ...] = ()
    only: str = ""
    dedupe_window_s: float = 86_400
    dedupe_capacity: int = 1_000_000
    remember_errors: bool = True
    latency_s: float = 0
    jitter_s: float = 0
    rate_limit: float = 0
    batch_item: Literal["any", "wrapped", "flat"] = "any"
    batch_refusals: Literal["items", "whole"] = "items"
    seed: int = 0
    keep_requests: int = 1_000
    amqp: str = ""

    def __post_init__(self) -> None:
        """Refuse what makes no sense. Raises ValueError with one clear sentence."""
        _check_choice("http_status", self.http_status, ("ok", "mirror"))
        _check_choice("only", self.only, ("", *METHODS))
        _check_choice("batch_item", self.batch_item, ("any", "wrapped", "flat"))
        _check_choice("batch_refusals", self.batch_refusals, ("items", "whole"))
        for name in ("dedupe_window_s", "latency_s", "jitter_s", "rate_limit", "keep_requests", "dedupe_capacity"):
            _check_amount(name, getattr(self, name))
        _check_share("fail_500_after_percent", self.fail_500_after_percent)
        _check_shares("fail", self.fail)
        _check_shares("faults", self.faults)
        for code, _ in self.fail:
            parse_fault(f"fail-{code}")
        for fault, _ in self.faults:
            parse_fault(fault)

    def changed(self, changes: Mapping[str, object]) -> Settings:
        """The same settings with some replaced, as JSON brings them. Raises ValueError with one clear sentence."""
        known = {field.name for field in dataclasses.fields(self)}
        for name in changes:
            if name not in known:
                msg = f"unknown setting {name!r}: expected one of {', '.join(sorted(known))}"
                raise ValueError(msg)
        read = {name: _FROM_JSON.get(name, _scalar)(name, value) for name, value in changes.items()}
        return dataclasses.replace(self, **read)  # type: ignore[arg-type]

    def as_json(self) -> dict[str, object]:
        """All settings as JSON values; `changed` reads them back."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: sorted(v) if isinstance(v, frozenset) else v for name, v in values.items()}


def parse_share(text: str) -> tuple[str, float]:
    """Read `NAME:PERCENT`, such as `drop-after:2`. Raises ValueError with one clear sentence."""
    name, colon, percent = text.rpartition(":")
    try:
        share = float(percent)
    except ValueError:
        share = -1
    if not colon or not name or not 0 <= share <= _WHOLE:
        msg = f"{text!r} is not NAME:PERCENT with a percentage from 0 to 100, such as 435:2"
        raise ValueError(msg)
    return name, share


def parse_fail(text: str) -> tuple[int, float]:
    """Read `CODE:PERCENT`, such as `435:2`. Raises ValueError with one clear sentence."""
    code, share = parse_share(text)
    if not code.isdecimal():
        msg = f"{text!r} does not begin with an API error code, such as 435:2"
        raise ValueError(msg)
    return int(parse_fault(f"fail-{code}").number), share


def parse_fault_share(text: str) -> tuple[str, float]:
    """Read `FAULT:PERCENT`, such as `drop-after:2`. Raises ValueError with one clear sentence."""
    name, share = parse_share(text)
    return parse_fault(name).name, share


def _check_choice(name: str, value: object, choices: Collection[str]) -> None:
    if value not in choices:
        msg = f"{name} is {value!r}, expected one of {', '.join(choices)}"
        raise ValueError(msg)


def _check_amount(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        msg = f"{name} is {value!r}, expected a number from 0"
        raise ValueError(msg)


def _check_share(name: str, value: float) -> None:
    _check_amount(name, value)
    if value > _WHOLE:
        msg = f"{name} is {value!r}, expected a percentage from 0 to 100"
        raise ValueError(msg)


def _check_shares(name: str, shares: tuple[tuple[object, float], ...]) -> None:
    for key, share in shares:
        _check_share(f"{name} {key}", share)
    if sum(share for _, share in shares) > _WHOLE:
        msg = f"the shares of {name} add up to more than 100 percent"
        raise ValueError(msg)


def _scalar(name: str, value: object) -> object:
    if name == "remember_errors" and not isinstance(value, bool):
        msg = f"{name} is {value!r}, expected true or false"
        raise ValueError(msg)
    if isinstance(value, list | dict) or value is None:
        msg = f"{name} cannot be {value!r}"
        raise ValueError(msg)
    return value


def _ids(name: str, value: object) -> frozenset[int] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple | set | frozenset) or not all(type(item) is int for item in value):
        msg = f"{name} is {value!r}, expected a list of whole numbers or null"
        raise ValueError(msg)
    return frozenset(value)


def _fail(name: str, value: object) -> tuple[tuple[int, float], ...]:
    return tuple(parse_fail(text) for text in _share_texts(name, value))


def _faults(name: str, value: object) -> tuple[tuple[str, float], ...]:
    return tuple(parse_fault_share(text) for text in _share_texts(name, value))


def _share_texts(name: str, value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        msg = f"{name} is {value!r}, expected a list of shares such as '435:2'"
        raise ValueError(msg)  # noqa: TRY004 - a reader of settings raises one kind of error
    return [item if isinstance(item, str) else ":".join(map(str, item)) for item in value]


_FROM_JSON: Final[dict[str, Callable[[str, object], object]]] = {
    "workflow_ids": _ids,
    "resource_ids": _ids,
    "fail": _fail,
    "faults": _faults,
}
