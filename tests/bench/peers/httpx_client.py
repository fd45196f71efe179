"""One shared `httpx.AsyncClient` and 64 tasks: what everybody writes."""

import asyncio
import time

import httpx
from people import CONNECTIONS, HEADERS, URL, bodies, tell


async def main() -> int:
    """All rows."""
    waiting, done = bodies(), 0
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def work() -> None:
            nonlocal done
            for body in waiting:
                answer = await client.post(URL, content=body, headers=HEADERS)
                assert answer.json()["error"] == 0
                done += 1

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return done


began_s = time.perf_counter()
tell(asyncio.run(main()), began_s)
