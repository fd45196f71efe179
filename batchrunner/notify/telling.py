"""All of a job's ways to tell somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchrunner.clock import Clock
from batchrunner.config import Job, NotifyTable, read_secret
from batchrunner.errors import ConfigError, NotifyError
from batchrunner.notify.message import Message


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a message on one way."""

    way: str
    error: str | None = None


def tell(job: Job, table: NotifyTable, message: Message, clock: Clock, sleep: Callable[[float], None]) -> list[Told]:
    """Send a message on every way of the job: a broken one does not keep the others from it."""
    return [_told(way, send) for way, send in _ways(job, table, message, clock, sleep)]


def _told(way: str, send: Callable[[], None]) -> Told:
    try:
        send()
    except (NotifyError, ConfigError) as error:
        return Told(way, str(error))
    return Told(way)


def _ways(
    job: Job, table: NotifyTable, message: Message, clock: Clock, sleep: Callable[[float], None]
) -> Iterator[tuple[str, Callable[[], None]]]:
    # Each library is imported by those who use it.
    if (webhook := table.webhook) is not None:

        def post_it() -> None:
            from batchrunner.notify.webhook import post  # noqa: PLC0415

            secret = None if webhook.secret_file is None else read_secret(job.beside(webhook.secret_file))
            timeout_s = webhook.timeout.total_seconds()
            now_s = clock.now_ms() // 1000
            post(webhook.url, message, secret=secret, timeout_s=timeout_s, now_s=now_s, sleep=sleep)

        yield "webhook", post_it
    if (email := table.email) is not None:

        def mail_it() -> None:
            from batchrunner.notify.mail import mail  # noqa: PLC0415

            password = None if email.password_file is None else read_secret(job.beside(email.password_file))
            mail(email, message, password=password)

        yield "email", mail_it
    if (apprise := table.apprise) is not None:

        def notify_them() -> None:
            from batchrunner.notify.services import notify_services  # noqa: PLC0415

            lines = read_secret(job.beside(apprise.urls_file)).splitlines()
            notify_services([line.strip() for line in lines if line.strip() and not line.startswith("#")], message)

        yield "apprise", notify_them
