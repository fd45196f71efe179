"""The page of `check --html` in a real browser: what strangers wrote into an export is text there, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from bench import Bench, people

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")

HOSTILE = (
    "<script>document.title='owned';fetch('/hit-by-script')</script>",
    "<img src=/hit-by-image onerror=\"document.title='owned'\">",
    '"><svg onload="document.title=\'owned\'"><use href=/hit-by-svg></svg>',
    "</style><style>@import '/hit-by-style';body{background:url(/hit-by-url)}</style>",
    "</title><meta http-equiv=refresh content='0;url=/hit-by-refresh'><iframe src=/hit-by-frame>",
    "javascript:document.title='owned'",
)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server of these files on this machine, and what was asked of it."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


class Seen(HTMLParser):
    """The title and the texts of a page, and its tags."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(dom)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Its name is enough."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Whatever stands there to be read."""
        self.texts.append(data)


def browse(url: str, home: Path) -> str:
    """Open a page, let its time pass, and give back what became of it; a picture of it stands beside."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    words += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={home / 'browser'}"]
    words += ["--virtual-time-budget=3000", "--window-size=1300,1100"]
    picture = [f"--screenshot={home / 'page.png'}", url]
    for more in (picture, ["--dump-dom", url]):
        ended = subprocess.run([str(CHROMIUM), *words, *more], capture_output=True, text=True, check=False, timeout=240)
        assert ended.returncode == 0, ended.stderr
    return ended.stdout


def hits(asked: list[str]) -> list[str]:
    """What only hostile texts would ask for."""
    return [path for path in asked if path.startswith("/hit")]


def test_hostile_cells_names_and_headers_are_text_in_a_browser(bench: Bench) -> None:
    """No script runs, nothing is asked for, and every header is there to be read."""
    rows = [{**row, **dict.fromkeys(HOSTILE, cell)} for row, cell in zip(people(len(HOSTILE)), HOSTILE, strict=True)]
    rows.append({**rows[0], "email": HOSTILE[0]})
    bench.csv(rows, "<img src=hit-by-name>.csv")
    bench.job(source={"path": "<img src=hit-by-name>.csv"}, name="welcome")
    ended = bench.cli("check", "job.toml", "--html", "check.html")
    assert ended.code in {0, 1}, ended.told()
    with served(bench.home) as (url, asked):
        seen = Seen(browse(f"{url}/check.html", bench.home))
    assert "/check.html" in asked
    assert hits(asked) == []
    assert not {"script", "img", "iframe", "use", "object", "a", "link"} & set(seen.tags)
    assert "owned" not in seen.texts
    assert "welcome: check" in seen.texts
    for text in HOSTILE:
        assert text in seen.texts
    assert (bench.home / "page.png").stat().st_size > 10_000


def test_the_same_texts_would_run_if_they_were_not_escaped(tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    (tmp_path / "bad.html").write_text(f"<!doctype html><title>fine</title><body>{''.join(HOSTILE[:2])}</body>")
    with served(tmp_path) as (url, asked):
        seen = Seen(browse(f"{url}/bad.html", tmp_path))
    assert {"/hit-by-script", "/hit-by-image"} <= set(asked)
    assert "owned" in seen.texts
