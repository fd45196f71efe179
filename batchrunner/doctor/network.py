"""From here to the platform's socket: proxy, name, connection, TLS. Nothing of the API is spoken.

The engines say little more than that there was no connection. Here each step is taken by itself, with the standard
library, so that the one that fails can be named. A real request follows on the real engine (`platform`).
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from batchrunner.doctor.findings import Finding, Findings, Verdict
from batchrunner.submit import Facts

SOON_S = 14 * 86400
"""A certificate that ends sooner than this is worth a word."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What the network checks came to, and whether a request has any chance."""

    findings: Findings
    connected: bool


def look_at_network(facts: Facts, now_s: float) -> Reached:
    """Take each step to the platform, and stop where the next one has no chance."""
    address = urlsplit(facts.url)
    findings = [_about_proxy(facts), _about_clear_text(address, facts)]
    steps = [*_through_proxy(address, facts, now_s)] if facts.proxy else [*_directly(address, facts, now_s)]
    findings += steps
    return Reached([one for one in findings if one is not None], all(one.verdict is not Verdict.BAD for one in steps))


def port_of(address: SplitResult) -> int:
    """The port of an address, said or not."""
    return address.port or (443 if address.scheme == "https" else 80)


# --- what stands in the job and the environment --------------------------------------------------


def _about_proxy(facts: Facts) -> Finding | None:
    if facts.proxy is None:
        return Finding("proxy", Verdict.OK, "none: the platform is reached directly")
    return Finding("proxy", Verdict.OK, f"{facts.proxy_shown}, named by {facts.proxy_named_by}")


def _about_clear_text(address: SplitResult, facts: Facts) -> Finding | None:
    if address.scheme == "https":
        if facts.verified:
            return None
        return Finding(
            "insecure", Verdict.BAD, "certificates are not verified: whoever answers has the token",
            "use --insecure to find out what is wrong, then name the authority in connection.ca_file",
        )  # fmt: skip
    if is_loopback(address.hostname or ""):
        return None
    return Finding(
        "clear text", Verdict.WARN, "the token and all rows cross the network unencrypted (http://)",
        "write https:// in target.url if the platform speaks it",
    )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- step by step ---------------------------------------------------------------------------------


def _directly(address: SplitResult, facts: Facts, now_s: float) -> Findings:
    host, port = address.hostname or "", port_of(address)
    found, addresses = _resolve("dns", host, port, facts)
    if not addresses:
        return [found]
    connected, sock = _connect(host, port, addresses, facts)
    findings = [found, connected]
    if sock is not None:
        with sock:
            if address.scheme == "https":
                findings.append(_shake_hands(sock, host, facts, now_s))
    return findings


def _through_proxy(address: SplitResult, facts: Facts, now_s: float) -> Findings:
    proxy = urlsplit(facts.proxy or "")
    if proxy.scheme == "https":
        return [Finding("tunnel", Verdict.UNKNOWN, "a proxy behind TLS is not looked at step by step")]
    host, port = proxy.hostname or "", port_of(proxy)
    found, addresses = _resolve("proxy dns", host, port, facts)
    if not addresses:
        return [found]
    connected, sock = _connect(host, port, addresses, facts)
    if sock is None:
        return [found, connected]
    with sock:
        if address.scheme != "https":
            return [found, connected]
        tunnel = _tunnel(sock, address, proxy)
        if tunnel.verdict is Verdict.BAD:
            return [found, connected, tunnel]
        return [found, connected, tunnel, _shake_hands(sock, address.hostname or "", facts, now_s)]


_FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}

Address = tuple[int, str]
"""The family, and the address as text."""


def _resolve(check: str, host: str, port: int, facts: Facts) -> tuple[Finding, list[Address]]:
    try:
        found = socket.getaddrinfo(host, port, _FAMILIES[facts.ip], socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        only = "" if facts.ip == "any" else f" over IPv{facts.ip}, as connection.ip says"
        return Finding(
            check, Verdict.BAD, f"{host} has no address{only} ({_reason(error)})",
            "correct the name in target.url or of the proxy, or ask who runs the name servers of this machine",
        ), []  # fmt: skip
    addresses = list(dict.fromkeys((one[0].value, str(one[4][0])) for one in found))
    shown = ", ".join(text for _, text in addresses)
    return Finding(check, Verdict.OK, f"{host} is {shown}" if shown != host else f"{host} is an address"), addresses


def _connect(host: str, port: int, addresses: Sequence[Address], facts: Facts) -> tuple[Finding, socket.socket | None]:
    kept: socket.socket | None = None
    good, bad = [], []
    for family, text in addresses:
        started_s = time.monotonic()
        try:
            sock = _open(family, text, port, facts.connect_timeout_s)
        except OSError as error:
            bad.append(f"{text} ({_reason(error)})")
            continue
        good.append(f"{text} in {(time.monotonic() - started_s) * 1000:.0f} ms")
        if kept is None:
            kept = sock
        else:
            sock.close()
    return _about_connections(host, port, good, bad, facts), kept


def _open(family: int, text: str, port: int, timeout_s: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect((text, port))
    except OSError:
        sock.close()
        raise
    return sock


def _about_connections(host: str, port: int, good: Sequence[str], bad: Sequence[str], facts: Facts) -> Finding:
    if not good:
        return Finding(
            "connect", Verdict.BAD, f"port {port} of {host} does not open: {', '.join(bad)}",
            "correct the port in target.url, or ask whoever runs the firewall; where only a proxy leads out, name it "
            "in HTTPS_PROXY or connection.proxy",
        )  # fmt: skip
    if bad:
        works = "6" if any(":" in one.split()[0] for one in good) else "4"
        return Finding(
            "connect", Verdict.WARN, f"port {port} opens on {', '.join(good)}, but not on {', '.join(bad)}",
            f'set connection.ip = "{works}" to leave the others alone' if facts.ip == "any" else None,
        )  # fmt: skip
    return Finding("connect", Verdict.OK, f"port {port} opens on {', '.join(good)}")


def _tunnel(sock: socket.socket, address: SplitResult, proxy: SplitResult) -> Finding:
    where = f"{address.hostname}:{port_of(address)}"
    line = http.client.HTTPConnection(proxy.hostname or "", port_of(proxy))
    line.sock = sock
    line.set_tunnel(address.hostname or "", port_of(address), headers=_login(proxy))
    try:
        line._tunnel()  # type: ignore[attr-defined]  # noqa: SLF001  `connect` would open a connection of its own
    except OSError as error:
        asks = "407" in str(error)
        return Finding(
            "tunnel", Verdict.BAD, f"the proxy opens no tunnel to {where} ({_reason(error)})",
            "give the proxy a login in HTTPS_PROXY, as http://user:password@host:port" if asks
            else "ask whoever runs the proxy to let this address through",
        )  # fmt: skip
    return Finding("tunnel", Verdict.OK, f"the proxy opens a tunnel to {where}")


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"}


# --- TLS ------------------------------------------------------------------------------------------


def _shake_hands(sock: socket.socket, host: str, facts: Facts, now_s: float) -> Finding:
    context = facts.tls_context()
    try:
        with context.wrap_socket(sock, server_hostname=host) as wrapped:
            return _about_certificate(wrapped, host, facts, now_s)
    except ssl.SSLCertVerificationError as error:
        return _not_verified(error, host, facts)
    except (ssl.SSLError, OSError) as error:
        return Finding(
            "tls", Verdict.BAD, f"no TLS with {host} ({_reason(error)})",
            "look whether the port speaks TLS at all; a platform that asks for our certificate needs "
            "connection.client_cert",
        )  # fmt: skip


def _about_certificate(wrapped: ssl.SSLSocket, host: str, facts: Facts, now_s: float) -> Finding:
    spoken = wrapped.version() or "TLS"
    certificate = wrapped.getpeercert()
    if not certificate:  # nothing is verified, so nothing is parsed
        return Finding("tls", Verdict.WARN, f"{spoken}, not verified")
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    issuer = _issuer(certificate)
    trust = f", trusted by {facts.trusted_from}" if facts.trusted_from else ""
    text = f"{spoken} with {host}; certificate of {issuer}{trust}, {max(0, int(ends_s - now_s)) // 86400} days left"
    if ends_s - now_s < SOON_S:
        return Finding("tls", Verdict.WARN, text, "tell whoever runs the platform: loads will fail when it ends")
    return Finding("tls", Verdict.OK, text)


def _issuer(certificate: object) -> str:
    parts = certificate.get("issuer", ()) if isinstance(certificate, dict) else ()
    names = {name: value for part in parts for name, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "an unnamed authority")


_UNTRUSTED = "name the authority's certificate (PEM) in connection.ca_file or SSL_CERT_FILE"
_ADVICE = {
    10: "the certificate is over: whoever runs the platform must renew it; look at this machine's date, too",
    9: "the certificate is not valid yet: look at this machine's date",
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    62: "the certificate is for another name: write that name in target.url",
    64: "the certificate is for another name: write that name in target.url",
}
"""By OpenSSL's number of a verification error."""


def _not_verified(error: ssl.SSLCertVerificationError, host: str, facts: Facts) -> Finding:
    beside = f" and {facts.trusted_from}" if facts.trusted_from else ""
    return Finding(
        "tls", Verdict.BAD,
        f"the certificate of {host} is not trusted by the well-known authorities{beside}: {error.verify_message}",
        _ADVICE.get(error.verify_code, _UNTRUSTED),
    )  # fmt: skip


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
