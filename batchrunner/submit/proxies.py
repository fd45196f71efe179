"""Which proxy the environment names for an address: read in one way for every HTTP engine."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from batchrunner.errors import ConfigError


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for an address from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; lower-case names win."""
    target = urlsplit(url)
    proxy = _named(f"{target.scheme}_proxy", environ) or _named("all_proxy", environ)
    if not proxy or _excepted(target, _named("no_proxy", environ)):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise ConfigError(
            f"the proxy for {target.hostname} has the scheme {urlsplit(proxy).scheme}; only http and https proxies work"
        )
    return proxy


def _named(name: str, environ: Mapping[str, str]) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _excepted(target: SplitResult, no_proxy: str) -> bool:
    host = (target.hostname or "").rstrip(".")
    port = target.port or (443 if target.scheme == "https" else 80)
    entries = (entry.strip().lower() for entry in no_proxy.split(","))
    return any(_matches(entry, host, port) for entry in entries if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if (address := _address(host)) is not None:
        return _address_matches(entry.strip("[]"), address) or entry in (f"{host}:{port}", f"[{host}]:{port}")
    name, _, given_port = entry.partition(":")
    name = name.removeprefix("*").lstrip(".")
    return (host == name or host.endswith(f".{name}")) and given_port in ("", str(port))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _address_matches(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
