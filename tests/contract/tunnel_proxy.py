"""A forward proxy in a process of its own: CONNECT tunnels, and nothing else. It tells each request on its stdout."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    port: int
    process: subprocess.Popen[str]

    def stop(self) -> list[str]:
        """End it, and give back the requests that came: method, address and whether a login came along."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=30)
        return out.splitlines()


@contextlib.contextmanager
def tunnel_proxy(login: str = "") -> Iterator[Proxy]:
    """Run a proxy; with a login (`user:password`), only for those who give it."""
    process = subprocess.Popen([sys.executable, __file__, login], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Proxy(int(process.stdout.readline()), process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    import asyncio
    import base64

    expected = "Basic " + base64.b64encode(sys.argv[1].encode()).decode() if sys.argv[1] else ""

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, address, _ = head.split("\r\n")[0].split()
        logged_in = f"proxy-authorization: {expected}".lower() in head.lower()
        say(f"{method} {address} {'with a login' if 'proxy-authorization' in head.lower() else 'without'}")
        if expected and not logged_in:
            writer.write(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = address.rpartition(":")
        there, back = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        say(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()

    asyncio.run(main())
