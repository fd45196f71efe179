"""Renderings: totals and ledger queries as text for people and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchrunner.clock import as_text
from batchrunner.ledger import EntryRecord, Pause, RunRecord, as_dict
from batchrunner.model import LimitRecord, SkipReason, State, TaskRecord, Totals
from batchrunner.stopwatch import Limit, Profile

if TYPE_CHECKING:  # `status` tells of the past, and needs nothing of what makes a run
    from batchrunner.mapping import Found
    from batchrunner.pipeline import Rehearsal

OUTCOMES = ("accepted", "rejected", "failed", "in_doubt", "unusable", "skipped")

WIDTH = 74
"""Of what stands behind a count, so that a line stays below 100 columns."""

CAUSES = {"latency": "rising latency", "throttled": "429", "failed": "failures"}
"""Why an adaptive limit was lowered."""

INSECURE = "INSECURE      the server's certificate was not verified (--insecure): whoever answered has the token"
"""In every summary of a run that did not look."""

REASONS = {
    SkipReason.ACCEPTED: "accepted before",
    SkipReason.REJECTED: "rejected before; 'retry' sends them again",
    SkipReason.REPEAT_IN_RUN: "repeats of another row in this run",
    SkipReason.CHANGED: "changed since the person was engaged (on_change)",
    SkipReason.REPLACED: "ended badly before, and something newer was accepted for the person since",
    SkipReason.IN_DOUBT: "in doubt, waiting for your decision: 'resolve'",
    SkipReason.FILTERED: "left out by the job's `when`",
    SkipReason.WINDOW: "in doubt for too long to send again safely: 'resolve'",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run tells at its end."""

    run: str
    job: str
    sources: tuple[str, ...]
    totals: Totals
    duration_s: float
    run_dir: str
    ledger: str
    exit_code: int
    error: str | None = None
    next_commands: tuple[str, ...] = ()
    profile: Profile | None = None
    archived: tuple[str, ...] = ()
    """Where the sources lie now, if they were moved."""
    reason: str | None = None
    """Why a night went otherwise than planned (`errors.Reason`)."""
    concurrency: LimitRecord | None = None
    """Where the limit was found out in the run."""
    insecure: bool = False
    """Nobody verified whom the rows were sent to."""
    repairs: tuple[Found, ...] = ()
    """Damaged cells, and what became of them."""
    tasks: tuple[TaskRecord, ...] = ()
    """What the platform has queued."""


def summary_values(summary: Summary) -> dict[str, Any]:
    """The one object that `run --output json` prints, and `summary.json`."""
    totals = summary.totals
    return {
        "run": summary.run,
        "job": summary.job,
        "source": summary.sources[0] if summary.sources else None,
        "sources": list(summary.sources),
        "read": totals.read,
        "accepted": totals.accepted,
        "rejected": totals.rejected,
        "failed": totals.failed,
        "in_doubt": totals.in_doubt,
        "unusable": totals.unusable,
        "skipped": dict(totals.skipped),
        "codes": dict(totals.codes),
        "requests": totals.requests,
        "replays": totals.replays,
        **({"updated": totals.updated} if totals.updated else {}),
        "balanced": totals.balanced,
        "duration_s": round(summary.duration_s, 3),
        "run_dir": summary.run_dir,
        "ledger": summary.ledger,
        "exit_code": summary.exit_code,
        "error": summary.error,
        "next": list(summary.next_commands),
        **({"insecure": True} if summary.insecure else {}),
        **({"archived": list(summary.archived)} if summary.archived else {}),
        **({"reason": summary.reason} if summary.reason else {}),
        **({"repairs": repair_values(summary.repairs)} if summary.repairs else {}),
        **({"tasks": task_values(summary.tasks)} if summary.tasks else {}),
        **({"concurrency": _limit_values(summary.concurrency)} if summary.concurrency else {}),
        **({"profile": profile_values(summary.profile)} if summary.profile else {}),
    }


def task_values(tasks: Iterable[TaskRecord]) -> list[dict[str, Any]]:
    """What the platform has queued, and the rows that are in it."""
    return [
        {
            "task": one.task,
            "rows": one.rows,
            "first": {"source": one.first[0], "row": one.first[1]},
            "last": {"source": one.last[0], "row": one.last[1]},
        }
        for one in tasks
    ]


def task_lines(tasks: Sequence[TaskRecord], limit: int = 3) -> list[str]:
    """For people: a line a task, up to a limit."""
    lines = [
        f"  queued        task {one.task}: "
        + (f"row {one.first[1]}" if one.rows == 1 else f"{one.rows} rows, from row {one.first[1]} to row {one.last[1]}")
        for one in tasks[:limit]
    ]
    if len(tasks) > limit:
        lines.append(f"  queued        and more, {len(tasks)} tasks in all: in summary.json and by 'show'")
    return lines


def repair_values(repairs: Iterable[Found]) -> list[dict[str, Any]]:
    """Damaged cells by source and column, with what became of them."""
    return [
        {
            "source": one.source,
            "column": one.column,
            "fault": one.fault,
            **{str(became): count for became, count in one.counts.items()},
            "lines": one.lines,
            "rows": one.rows,
        }
        for one in repairs
    ]


def _limit_values(record: LimitRecord) -> dict[str, Any]:
    return {
        "lowest": record.lowest,
        "highest": record.highest,
        "final": record.final,
        "backed_off": {cause: record.backed_off.get(cause, 0) for cause in CAUSES},
    }


def summary_text(summary: Summary) -> str:
    """For people: what happened, where the files are, what to do next."""
    totals = summary.totals
    lines = [f"run {summary.run} of {summary.job}: {totals.read} rows in {_duration(summary)}", *outcome_lines(totals)]
    if summary.error:
        lines.append(f"  {summary.error}")
    if summary.insecure:
        lines.append(f"  {INSECURE}")
    if summary.concurrency:
        lines.append(f"  concurrency   {_limit_words(summary.concurrency)}")
    lines += [f"  damaged       {one.sentence}" for one in summary.repairs]
    lines += task_lines(summary.tasks)
    lines.append(f"  result files  {summary.run_dir}")
    lines += [f"  archived      {path}" for path in summary.archived]
    lines += [f"  next          {command}" for command in summary.next_commands]
    if summary.profile:
        lines += profile_lines(summary.profile)
    return "\n".join(lines)


def _limit_words(record: LimitRecord) -> str:
    reached = f"from {record.lowest} to {record.highest}, at the end {record.final}"
    causes = [f"{CAUSES[cause]} ({count})" for cause, count in record.backed_off.items() if count]
    return f"{reached}; backed off for {', '.join(causes)}" if causes else f"{reached}; never backed off"


def _duration(summary: Summary) -> str:
    rate = summary.totals.ended / summary.duration_s if summary.duration_s else 0
    requests = summary.totals.requests
    return f"{summary.duration_s:.1f} s ({rate:.0f} rows/s, {requests} request{'' if requests == 1 else 's'})"


def outcome_lines(totals: Totals) -> list[str]:
    """One line an outcome that occurred, its codes or reasons behind it."""
    lines = []
    for outcome in OUTCOMES:
        count = totals.skipped_in_all if outcome == "skipped" else getattr(totals, outcome)
        if count or outcome == "accepted":
            lines.append(f"  {outcome.replace('_', ' '):<9}{count:>9}{_why(totals, outcome)}")
    if totals.replays:
        lines.append(f"  replays  {totals.replays:>9}   answers to a repeated Request-ID that the platform recognised")
    return lines


def _why(totals: Totals, outcome: str) -> str:
    if outcome == "accepted" and totals.updated:
        return _wrapped([f"{totals.updated} of them updated: they had changed, and nobody was engaged"])
    if outcome == "skipped":
        return _wrapped(_reasons(totals.skipped))
    found = {code.partition(":")[2]: n for code, n in totals.codes.items() if code.startswith(f"{outcome}:")}
    if not found:
        return ""
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return _wrapped([f"{code} ({count})" for code, count in ordered])


def _reasons(skipped: Mapping[str, int]) -> list[str]:
    if len(skipped) == 1:
        return [REASONS[SkipReason(reason)] for reason in skipped]
    return [f"{count} {REASONS[SkipReason(reason)]}" for reason, count in skipped.items()]


def _wrapped(parts: Sequence[str]) -> str:
    """Parts behind a count, on as many lines as they need."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) < WIDTH:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return "   " + f",\n{' ' * 23}".join(lines) if lines else ""


# --- where the time went --------------------------------------------------------------------------

LIMITS: Mapping[Limit, str] = {
    "api": "the API, the network or your own rate is the limit; more connections (--concurrency) help if the API takes "
    "more at once",
    "disk": "the disk of the ledger is the limit; a faster one, or a ledger beside the other files (--ledger), helps",
    "cpu": "this machine's processor is the limit",
}


def profile_values(profile: Profile) -> dict[str, Any]:
    """`profile` of the JSON summary: CPU microseconds a row by stage, and shares of the time."""
    return {
        "rows": profile.rows,
        "duration_s": round(profile.duration_s, 3),
        "stages": {stage: round(us, 2) for stage, us in profile.cpu_us.items()},
        "waiting": round(profile.waiting, 3),
        "disk": round(profile.disk, 3),
        "limit": profile.limit,
    }


def profile_lines(profile: Profile) -> list[str]:
    """For people: a line a stage."""
    lines = [f"  where the time went: {profile.rows} rows in {profile.duration_s:.1f} s"]
    lines += [f"    {stage:<8}{us:>8.1f} us of CPU a row" for stage, us in profile.cpu_us.items()]
    lines.append(f"    {'in all':<8}{sum(profile.cpu_us.values()):>8.1f} us of CPU a row")
    lines.append(f"    waiting for answers {profile.waiting:.0%} of the time, for the disk {profile.disk:.0%}")
    return [*lines, f"    {LIMITS[profile.limit]}"]


# --- rehearsals --------------------------------------------------------------------------------


def rehearsal_values(job: str, sources: Sequence[str], found: Rehearsal) -> dict[str, Any]:
    """`run --dry-run --output json`."""
    return {
        "dry_run": True,
        "job": job,
        "source": sources[0] if sources else None,
        "sources": list(sources),
        "read": found.read,
        "would_send": found.would_send,
        "new": found.new,
        "changed": found.changed,
        "again": found.again,
        **({"updated": found.updated} if found.updated else {}),
        "repeated": found.skipped[SkipReason.REPEAT_IN_RUN.value],
        "skipped": dict(found.skipped),
        "unusable": found.unusable.total(),
        "codes": {f"unusable:{code}": count for code, count in found.unusable.items()},
    }


def rehearsal_text(job: str, found: Rehearsal) -> str:
    """`run --dry-run` for people."""
    lines = [f"dry run of {job}: {found.read} rows read, nothing sent, nothing written"]
    lines.append(f"  would send {found.would_send:>8}   {found.new} new, {found.changed} changed, {found.again} again")
    if found.updated:
        lines.append(f"  of these   {found.updated:>8}   would be updated: nobody would be engaged")
    lines.append(f"  would skip {found.skipped.total():>8}{_wrapped(_reasons(found.skipped))}")
    codes = [f"{code} ({count})" for code, count in found.unusable.most_common()]
    lines.append(f"  unusable   {found.unusable.total():>8}{_wrapped(codes)}")
    return "\n".join(lines)


# --- the ledger --------------------------------------------------------------------------------


def run_values(run: RunRecord) -> dict[str, Any]:
    """One run as plain values."""
    return {
        "run": run.name,
        "job": run.job,
        "verb": run.verb,
        "started": as_text(run.started_ms),
        "ended": None if run.ended_ms is None else as_text(run.ended_ms),
        "ending": run.ending or "running",
        "exit_code": run.exit_code,
        "sources": [{"path": s.path, "fingerprint": s.fingerprint, "size_bytes": s.size_bytes} for s in run.sources],
        **as_dict(run.totals),
        "balanced": run.totals.balanced,
        "run_dir": run.run_dir,
    }


def runs_text(runs: Sequence[RunRecord]) -> str:
    """A table of runs."""
    head = ("run", "job", "verb", "ending", "exit", "read", "accepted", "errors", "in doubt", "skipped")
    return _table(head, [_run_cells(run) for run in runs])


def _run_cells(run: RunRecord) -> tuple[str, ...]:
    t = run.totals
    errors = t.rejected + t.failed + t.unusable
    exit_code = "" if run.exit_code is None else str(run.exit_code)
    counts = (t.read, t.accepted, errors, t.in_doubt, t.skipped_in_all)
    return (run.name, run.job, run.verb, run.ending or "running", exit_code, *map(str, counts))


def run_text(run: RunRecord, bad: Sequence[EntryRecord], limit: int, tasks: Sequence[TaskRecord] = ()) -> str:
    """One run, with the first of its rows that were not accepted, and of its tasks."""
    lines = [
        f"run {run.name} of {run.job} ({run.verb}): {run.ending or 'running'}{_exit_code(run)}",
        f"  started {as_text(run.started_ms)}, ended {as_text(run.ended_ms) if run.ended_ms else '-'}",
        *(f"  source {number}: {one.path} ({one.fingerprint})" for number, one in enumerate(run.sources, start=1)),
        f"  read     {run.totals.read:>9}",
        *outcome_lines(run.totals),
        *task_lines(tasks, limit),
        f"  result files  {run.run_dir}",
    ]
    if bad:
        lines += ["", _table(("source", "row", "line", "now", "code", "attempts"), [_entry_cells(one) for one in bad])]
        if len(bad) == limit:
            lines.append(f"(the first {limit}; more with --limit)")
    return "\n".join(lines)


def _exit_code(run: RunRecord) -> str:
    return "" if run.exit_code is None else f", exit code {run.exit_code}"


def _entry_cells(entry: EntryRecord) -> tuple[str, ...]:
    now = "taken over" if entry.taken_over else entry.state.name.lower().replace("_", " ")
    return (str(entry.source_no), str(entry.row_number), str(entry.line), now, entry.code or "", str(entry.attempts))


def entry_values(entry: EntryRecord) -> dict[str, Any]:
    """One claimed row as plain values."""
    return {
        "source": entry.source_no,
        "row": entry.row_number,
        "line": entry.line,
        "state": "taken_over" if entry.taken_over else entry.state.name.lower(),
        "code": entry.code,
        "profile_id": entry.profile_id,
        "attempts": entry.attempts,
        "requested": as_text(entry.requested_ms),
    }


def status_text(job: str, last: RunRecord | None, waiting: Mapping[tuple[State, str], int], *, running: bool) -> str:
    """One job: its last run, and what waits."""
    lines = [f"{job}: {'running now' if running else 'idle'}"]
    if last is not None:
        t = last.totals
        lines.append(
            f"  last run {last.name} ({last.ending or 'running'}): {t.read} read, {t.accepted} accepted, "
            f"{t.rejected} rejected, {t.failed} failed, {t.in_doubt} in doubt, {t.unusable} unusable, "
            f"{t.skipped_in_all} skipped"
        )
    for (state, code), count in sorted(waiting.items()):
        lines.append(
            f"  waiting  {count:>8} {state.name.lower().replace('_', ' ')} {f'({code})' if code else ''}".rstrip()
        )
    if not waiting:
        lines.append("  nothing is waiting")
    return "\n".join(lines)


def pause_values(pause: Pause) -> dict[str, Any]:
    """A pause for JSON."""
    until = None if pause.until_ms is None else as_text(pause.until_ms)
    return {"since": as_text(pause.since_ms), "until": until, "why": pause.why}


def pause_text(pause: Pause) -> str:
    """A pause for people."""
    until = "" if pause.until_ms is None else f" until {as_text(pause.until_ms)}"
    return f"paused since {as_text(pause.since_ms)}{until}{f': {pause.why}' if pause.why else ''}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    return "\n".join(lines)
