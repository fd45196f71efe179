"""Messages through any service that apprise knows: an extra."""

from __future__ import annotations

from collections.abc import Sequence

from batchrunner.errors import NotifyError
from batchrunner.notify.events import TROUBLE, Event
from batchrunner.notify.message import Message


def notify_services(urls: Sequence[str], message: Message) -> None:
    """Send a message to all addresses of apprise. Raises NotifyError where one of them fails, or is none."""
    try:
        import apprise  # noqa: PLC0415  an extra
    except ImportError:
        raise NotifyError("[notify.apprise] needs apprise; run: pip install 'batchrunner[apprise]'") from None
    services = apprise.Apprise()
    # The addresses hold tokens: which it was is told by its number.
    if bad := [str(number) for number, url in enumerate(urls, start=1) if not services.add(url)]:
        raise NotifyError(f"apprise does not know the address in line {' and '.join(bad)} of its file; correct it")
    kind = apprise.NotifyType.FAILURE if message.event in TROUBLE else apprise.NotifyType.SUCCESS
    if message.event is Event.TEST:
        kind = apprise.NotifyType.INFO
    if not services.notify(title=message.title, body=message.text, notify_type=kind):
        raise NotifyError("apprise could not tell all of its services; try them with 'batchrunner notify test'")
