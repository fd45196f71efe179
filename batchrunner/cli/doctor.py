"""`doctor`: try the way to the platform before a first load."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from batchrunner.api import read_exception
from batchrunner.api.probes import probe_request, read_probe
from batchrunner.cli.broker import try_the_broker
from batchrunner.cli.exits import Exit
from batchrunner.cli.options import (
    ending_well,
    insecure_option,
    job_argument,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.cli.sending import facts_of
from batchrunner.clock import Clock, SystemClock
from batchrunner.config import CREDENTIAL, Job, load_job, read_token, with_overrides
from batchrunner.doctor import (
    Answered,
    Ask,
    Asked,
    Consent,
    Finding,
    Findings,
    Probe,
    Repeats,
    Setting,
    Shape,
    Told,
    Unanswered,
    Verdict,
    Way,
    batches_of,
    findings_text,
    findings_values,
    is_bad,
    look_at_batches,
    look_at_fields,
    look_at_network,
    look_at_platform,
    look_at_repeats,
    save,
)
from batchrunner.errors import BatchrunnerError, ConfigError, UsageError
from batchrunner.retrying import Doubtful, NeverSent
from batchrunner.submit import Exchange, Facts, exchange_all


@click.command()
@job_argument
@click.option("--url", help="Look at this platform instead of the job's.")
@insecure_option
@click.option("--probe-profile", metavar="EMAIL|ID", help="A profile of your own that may be imported, unchanged.")
@click.option("--db-id", type=click.IntRange(min=1), help="The database of that profile.")
@click.option("--probe-engage", is_flag=True, help="It may be engaged in the job's scenario, too: once, by a batch.")
@click.option("--yes", is_flag=True, help="Agree to this, without being asked.")
@click.option("--save", "saves", is_flag=True, help="Write what was found into the job file.")
@output_option
@logging_options
@ending_well
def doctor(
    job: Path,
    url: str | None,
    insecure: bool,  # noqa: FBT001
    probe_profile: str | None,
    db_id: int | None,
    probe_engage: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    saves: bool,  # noqa: FBT001
    output: str,
    quiet: bool,  # noqa: FBT001
) -> None:
    """Look at everything between here and the platform, and say what to do: network, TLS, token, rights, repeats.

    Only requests are sent that the platform can only refuse, unless you name a profile that may be imported.
    Nobody is engaged, unless you say --probe-engage.
    """
    loaded = load_job(job)
    if url:
        if saves:
            raise UsageError("--save writes what is true of the job's own platform; leave --url out")
        loaded = with_overrides(loaded, {"target": {"url": url, "installation": None}})
    loaded = loaded.model_copy(update={"insecure": insecure})
    consent = _consent(probe_profile, db_id, loaded, engage=probe_engage, yes=yes)
    found = _examine(loaded, consent)
    findings = found.findings
    saved = save(job, _settings(found)) if saves else []
    bad = is_bad(findings)
    if output == "json":
        say_json(
            {
                "job": loaded.name,
                "url": loaded.target.url,
                "findings": findings_values(findings),
                "saved": saved,
                "exit_code": int(Exit.SOME_BAD if bad else Exit.OK),
            }
        )
    elif not quiet or bad:
        click.echo(findings_text(f"{loaded.name}: {loaded.target.url}", findings))
        for name in saved:
            click.echo(f"  saved {name} in {job}")
        if saves and not saved:
            click.echo("  nothing to save: the job file says already what was found")
    raise SystemExit(Exit.SOME_BAD if bad else Exit.OK)


def _consent(profile: str | None, db_id: int | None, job: Job, *, engage: bool, yes: bool) -> Consent | None:
    """What the user agrees to. Naming a profile is half of it; the other half is asked for."""
    if profile is None:
        if db_id is not None or yes or engage:
            raise UsageError(
                "--db-id, --probe-engage and --yes go with --probe-profile, the profile that may be imported"
            )
        return None
    if engage and (job.target.call.item is None or not job.target.call.engages):
        raise UsageError(
            f"--probe-engage finds out how a batch is written that engages; {job.target.endpoint} is none: leave it out"
        )
    if db_id is None:
        raise UsageError("--probe-profile needs --db-id, the number of the database that the profile is in")
    engaged = f" And engage it in scenario {job.target.workflow_id}, once: it gets what that sends." if engage else ""
    question = (
        f"Import profile {profile} of database {db_id} on {job.target.url} up to eight times, without any field and "
        f"without starting triggers? It is created if it does not exist.{engaged}"
    )
    if not yes and not click.confirm(question, err=True):
        raise UsageError("not agreed, so nothing was sent; leave --probe-profile out to look at everything else")
    return Consent(profile, db_id, engage)


# --- the examination ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """All there is to tell, and what of it is worth keeping."""

    findings: Findings
    repeats: Repeats
    shape: Shape


def _examine(job: Job, consent: Consent | None) -> _Found:
    nothing = Repeats([]), Shape([])
    clock = SystemClock()
    try:
        facts = facts_of(job)
    except ConfigError as error:
        return _Found([Finding("connection", Verdict.BAD, str(error))], *nothing)
    if job.rabbitmq is not None:
        return _Found([_about_broker(job), *look_at_fields(job.request.data)], *nothing)
    reached = look_at_network(facts, clock.now_ms() / 1000)
    fields = look_at_fields(job.request.data)
    token, about_token = _token(job)
    if not reached.connected or token is None:
        why = "the platform cannot be reached" if not reached.connected else "there is no token"
        skipped = Finding("platform", Verdict.SKIPPED, f"nothing was asked: {why}")
        return _Found([*reached.findings, *about_token, skipped, *fields], *nothing)
    ask = _asking(job, facts, token, clock)
    asked = _asked(job)
    platform = look_at_platform(asked, ask, _origin_of_token(job))
    repeats, shape = nothing
    if not is_bad(platform):
        repeats = look_at_repeats(asked, consent, ask, _new_id, says_it_does=job.target.deduplicates)
        shape = _shape(job, asked, consent, ask)
    findings = [*reached.findings, *about_token, *platform, *repeats.findings, *shape.findings, *fields]
    return _Found(findings, repeats, shape)


def _shape(job: Job, asked: Asked, consent: Consent | None, ask: Ask) -> Shape:
    """How a batch has to be written, for jobs that send some."""
    call = job.target.call
    if call.item is None:
        return Shape([])
    way = Way(job.batch.item or call.item, "beside" if job.batch.item == "flat" else job.batch.key)
    return look_at_batches(batches_of(asked, call.name, way, queued=call.queued), consent, ask)


def _about_broker(job: Job) -> Finding:
    """Through a broker nothing can be asked that is not carried out some time: only the way there is tried."""
    try:
        return Finding("broker", Verdict.OK, f"{try_the_broker(job)} takes the login and has both queues")
    except BatchrunnerError as error:
        return Finding("broker", Verdict.BAD, str(error))


def _token(job: Job) -> tuple[str | None, Findings]:
    try:
        return read_token(job), []
    except ConfigError as error:
        return None, [Finding("token", Verdict.BAD, str(error))]


def _asked(job: Job) -> Asked:
    call = job.target.call
    single = call.name.removesuffix("_task").removesuffix("_batch")  # what a batch asks for, of one row
    number = getattr(job.target, call.number)
    return Asked(single + call.tail, call.scenario, number, job.target.db_id, listed=call.number == "workflow_id")


def _origin_of_token(job: Job) -> str:
    """Where the token was taken from, in the order in which places are looked at."""
    target = job.target
    if "CREDENTIALS_DIRECTORY" in os.environ and (Path(os.environ["CREDENTIALS_DIRECTORY"]) / CREDENTIAL).is_file():
        return "systemd"
    command = "token_command" if target.token_command else None
    keyring = None if target.token_keyring is None else "the keyring"
    return target.token_file or command or keyring or "the environment"


def _new_id() -> str:
    return str(uuid.uuid4())


def _asking(job: Job, facts: Facts, token: str, clock: Clock) -> Ask:
    """Ask on the engine that a run would use."""

    def ask(probes: Sequence[Probe]) -> list[Told]:
        requests = [
            probe_request(job.target, token, one.path, one.body, one.ids or (("Request-ID", _new_id()),))
            for one in probes
        ]
        return [_told(exchange) for exchange in exchange_all(job.target.transport, facts, requests, clock)]

    return ask


def _told(exchange: Exchange) -> Told:
    if exchange.response is not None:
        return Answered(read_probe(exchange.response), exchange.sent_ms, exchange.came_ms)
    verdict = read_exception(exchange.error or TimeoutError("no answer in time"))
    if isinstance(verdict, NeverSent | Doubtful):
        return Unanswered(verdict.code, verdict.text)
    return Unanswered("no_answer", str(exchange.error))


# --- what is worth keeping -------------------------------------------------------------------------


def _settings(found: _Found) -> list[Setting]:
    why = f"found by doctor, {datetime.now(UTC).date().isoformat()}"
    settings = []
    if found.repeats.recognised_by is not None:
        settings.append(Setting("target", "deduplicates", bool(found.repeats.recognised_by), why))
    if (way := found.shape.way) is not None:
        settings.append(Setting("batch", "item", way.item, why))
        if way.item == "wrapped":
            settings.append(Setting("batch", "key", way.key, why))
    return settings
