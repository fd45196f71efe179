"""Real servers of stores: S3 (moto), Google Cloud Storage (an emulator) and SFTP (asyncssh), in threads of the test."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

BUCKET = "exports"


class Store(Protocol):
    """One server, as tests of all of them see it."""

    root: str
    """The address of its folder; names stand behind it."""
    environment: dict[str, str]
    """What a command finds in its environment, so that it is let in."""

    def put(self, name: str, content: bytes) -> None:
        """Store something, in the place of what was there."""
        ...

    def empty(self) -> None:
        """Remove everything."""
        ...


# --- S3 ----------------------------------------------------------------------------------------


@dataclass
class S3:
    """A bucket."""

    client: Any
    root: str
    environment: dict[str, str]

    def put(self, name: str, content: bytes) -> None:
        """Store an object."""
        self.client.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=content)

    def empty(self) -> None:
        """Remove all objects."""
        for one in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.client.delete_object(Bucket=BUCKET, Key=one["Key"])


@contextmanager
def s3() -> Iterator[S3]:
    """Run a server with one bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "S3CR3T", "AWS_DEFAULT_REGION": "us-east-1"}
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="S3CR3T"
    )
    client.create_bucket(Bucket=BUCKET)
    try:
        yield S3(client, f"s3://{BUCKET}/in/", {**keys, "AWS_ENDPOINT_URL": url})
    finally:
        server.stop()


# --- Google ------------------------------------------------------------------------------------


@dataclass
class Gcs:
    """A bucket."""

    url: str
    root: str
    environment: dict[str, str]

    def put(self, name: str, content: bytes) -> None:
        """Store an object."""
        import httpx

        where = f"{self.url}/upload/storage/v1/b/{BUCKET}/o"
        httpx.post(where, params={"uploadType": "media", "name": f"in/{name}"}, content=content).raise_for_status()

    def empty(self) -> None:
        """Remove all objects."""
        import httpx

        httpx.get(f"{self.url}/wipe").raise_for_status()
        httpx.post(f"{self.url}/storage/v1/b", json={"name": BUCKET}).raise_for_status()


@contextmanager
def gcs() -> Iterator[Gcs]:
    """Run a server with one bucket."""
    from gcp_storage_emulator.server import create_server

    server = create_server("localhost", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    url = f"http://localhost:{server._api._httpd.server_address[1]}"
    try:
        yield Gcs(url, f"gs://{BUCKET}/in/", {"STORAGE_EMULATOR_HOST": url})
    finally:
        server.stop()


# --- SFTP --------------------------------------------------------------------------------------


@dataclass
class Sftp:
    """A folder of this machine, as a server shows it."""

    folder: Path
    root: str
    environment: dict[str, str]
    logins: list[str] = field(default_factory=list)

    def put(self, name: str, content: bytes) -> None:
        """Store a file."""
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def empty(self) -> None:
        """Remove all files."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def sftp(folder: Path) -> Iterator[Sftp]:
    """Run a server that lets one key in, and the password `S3CR3T`."""
    import asyncssh

    shown, keys = folder / "shown", folder / "keys"
    shown.mkdir()
    keys.mkdir()
    host, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    client.write_private_key(str(keys / "client"))
    (keys / "authorized").write_bytes(client.export_public_key())

    class Login(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("me", "S3CR3T")

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Login,
            server_host_keys=[host],
            authorized_client_keys=str(keys / "authorized"),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(shown)),
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    port = listener.get_port()
    known = host.export_public_key().decode()
    (keys / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}", encoding="utf-8")
    environment = {
        "FSSPEC_SFTP_KNOWN_HOSTS": str(keys / "known_hosts"),
        "FSSPEC_SFTP_CLIENT_KEYS": str(keys / "client"),
    }
    try:
        yield Sftp(shown, f"sftp://me@127.0.0.1:{port}/in/", environment)
    finally:
        asyncio.run_coroutine_threadsafe(_end(listener), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listener: Any) -> None:
    listener.close()
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
