"""Messages to an address: signed JSON, repeated until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import httpx

from batchrunner.errors import NotifyError
from batchrunner.notify.message import Message

WAITS_S: Sequence[float] = (1, 5, 25)
"""Between attempts: half a minute in all, enough for a restart of the other side."""

DELIVERY = "X-Batchrunner-Delivery"
"""The same for all attempts: by it the other side knows a message that it has already."""
TIMESTAMP = "X-Batchrunner-Timestamp"
SIGNATURE = "X-Batchrunner-Signature"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a dot and the body; who verifies it also refuses old timestamps."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def post(  # noqa: PLR0913  an address, its secret, and the seams
    url: str, message: Message, *, secret: str | None, timeout_s: float, now_s: int, sleep: Callable[[float], None]
) -> None:
    """Send a message. Raises NotifyError when nobody has taken it after some attempts."""
    body = json.dumps(message.values, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "batchrunner", DELIVERY: str(uuid.uuid4())}
    if secret is not None:
        headers |= {TIMESTAMP: str(now_s), SIGNATURE: signature(secret, str(now_s), body)}
    problem = None
    with httpx.Client(timeout=timeout_s) as client:
        for wait_s in (0, *WAITS_S):
            if wait_s:
                sleep(wait_s)
            problem, worth_trying = _attempt(client, url, body, headers)
            if problem is None:
                return
            if not worth_trying:
                break
    # Its path and query may hold a token.
    raise NotifyError(f"the webhook at {httpx.URL(url).host} {problem}; see [notify.webhook] in the job file")


def _attempt(client: httpx.Client, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[str | None, bool]:
    """What went wrong, if anything did, and whether it may go better later."""
    try:
        answer = client.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return f"cannot be reached ({type(error).__name__})", True
    if answer.is_success:
        return None, False
    later = answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    return f"answered {answer.status_code}", later
