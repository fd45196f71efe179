"""Messages by mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from batchrunner.config import EmailTable
from batchrunner.errors import NotifyError
from batchrunner.notify.message import Message

PORTS = {"starttls": 587, "tls": 465, "none": 25}

TIMEOUT_S = 30.0


def mail(table: EmailTable, message: Message, *, password: str | None) -> None:
    """Send a message to all addresses. Raises NotifyError where the server does not take it."""
    host, _, port = table.server.partition(":")
    try:
        with _server(table, host, int(port or PORTS[table.security])) as server:
            if table.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if table.user is not None and password is not None:
                server.login(table.user, password)
            refused = server.send_message(letter(message, table.from_, table.to))
    except (OSError, smtplib.SMTPException) as error:
        raise NotifyError(
            f"the mail server {table.server} {_said(error)}; see [notify.email] in the job file"
        ) from None
    if refused:
        raise NotifyError(f"the mail server {table.server} refused {len(refused)} of the addresses in [notify.email]")


def _server(table: EmailTable, host: str, port: int) -> smtplib.SMTP:
    if table.security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=TIMEOUT_S)


def letter(message: Message, sender: str, to: Sequence[str]) -> EmailMessage:
    """The message as a mail."""
    made = EmailMessage()
    made["Subject"] = message.title
    made["From"] = sender
    made["To"] = ", ".join(to)
    made["Date"] = format_datetime(datetime.fromisoformat(message.at))
    made["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
    # So that nobody's holiday reply comes back.
    made["Auto-Submitted"] = "auto-generated"
    made["X-Batchrunner-Event"] = message.event
    made.set_content(message.text)
    return made


def _said(error: OSError | smtplib.SMTPException) -> str:
    match error:
        case smtplib.SMTPAuthenticationError():
            return "refused the log-in"
        case smtplib.SMTPRecipientsRefused():
            return "refused all addresses"
        case smtplib.SMTPResponseException(smtp_code=code):
            return f"answered {code}"
        case smtplib.SMTPNotSupportedError():
            return 'cannot do what is asked of it (perhaps security = "none" is meant)'
        case _:
            return f"cannot be used ({type(error).__name__})"
