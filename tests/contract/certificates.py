"""A certificate authority of our own, as companies have one, and what it has signed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Authority:
    """An authority with a folder for its files."""

    folder: Path
    ca: trustme.CA

    @property
    def file(self) -> Path:
        """The certificate that has to be trusted."""
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(path)
        return path

    def server(self, *names: str, asks_for_clients: bool = False) -> ssl.SSLContext:
        """The side of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1", "localhost", "::1"))).configure_cert(context)
        if asks_for_clients:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, name: str = "client") -> tuple[Path, Path]:
        """A certificate of a client and its key, in two files."""
        issued = self.ca.issue_cert("batchrunner@example.com")
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return cert, key


def new_authority(folder: Path) -> Authority:
    """Found one."""
    return Authority(folder, trustme.CA())
