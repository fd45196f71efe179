"""Job files: any bytes are a job that can be judged, or sentences that name the file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from batchrunner.config import load_job
from batchrunner.errors import ConfigError
from batchrunner.mapping import lint_mapping, mapping_text

SEEDS = (
    b"""name = "crm"
[source]
path = "x.csv"
encoding = "utf-8"
[target]
url = "https://platform.test"
workflow_id = 12
dedupe_window = "1d"
[request]
matching = "email"
email = "{email|trim|lower}"
[request.data]
_fname = "{First name|title}"
_bdate = { column = "Birth date", as = "date", format = "%d.%m.%Y" }
phones = [ { column = "Phone", as = "phone", region = "RU" } ]
[rules]
repeat = "unchanged"
when = "{Country} == RU and {Age} >= 18"
[limits]
concurrency = 16
rate = "50/s"
max_errors = "5%"
""",
    b"""name = "nightly"
timezone = "Europe/Moscow"
[source]
path = "exports/*.zip"
[arrival]
stable_for = "60s"
[target]
url = "http://127.0.0.1"
endpoint = "profiles/import"
db_id = 1
[connection]
proxy = "http://user:pass@proxy:3128"
[request]
matching = "phone"
phone = "{phone}"
[schedule]
cron = "0 2 * * 1-5"
jitter = "5m"
[notify]
on = ["failure"]
[notify.webhook]
url = "https://hooks.test/x"
[guards]
max_rows = 10
[after]
keep = "90d"
""",
)
PIECES = (b'"', b"'", b"{", b"}", b"[", b"]", b"|", b"=", b",", b"\n", b"\\", b"\x00", b"\xe9", b"\xe2\x80\xa8", b"-1",
          b"1e999", b"nan", b"true", b"{}", b"[[", b"{ column = 1 }", b"as = ", b'"{a|b|c:d}"', b"99999999999999999999",
          b"0x", b"1979-05-27", b"()", b"and", b"$(x)", b"../", b"{ a = { a = 1 } }", b"\xef\xbb\xbf")  # fmt: skip


def try_one(data: bytes) -> None:
    """A job, or one sentence a line, each with the name of the file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "job.toml")
        path.write_bytes(data)
        try:
            job = load_job(path)
        except ConfigError as error:
            sentence = str(error)
        else:
            assert all(isinstance(mistake, str) and mistake for mistake in lint_mapping(job))
            mapping_text(job).encode()
            return
        assert sentence.startswith(str(path)), sentence
