"""One address and no other: whatever a bug or a redirect may say, a token leaves for nowhere else."""

from __future__ import annotations

import httpx


class Pin:
    """The scheme, host and port that requests may go to."""

    def __init__(self, url: str) -> None:
        """Raises httpx.InvalidURL."""
        address = httpx.URL(url)
        self._scheme, self._netloc = address.scheme, address.netloc

    def check(self, request: httpx.Request) -> None:
        """Refuse a request to anywhere else. Raises UnsupportedProtocol, which says that nothing was sent."""
        url = request.url
        if url.netloc != self._netloc or url.scheme != self._scheme:
            raise httpx.UnsupportedProtocol(
                f"the token goes to {self._scheme}://{self._netloc.decode()} and not to {url.host}", request=request
            )
