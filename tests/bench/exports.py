"""The file and the job that everything is measured with: 12 columns, about 150 bytes a row, bodies of about 500."""

from __future__ import annotations

import csv
from pathlib import Path

from place import BUILD

COLUMNS = (
    "Client ID", "First name", "Last name", "Email", "Phone", "Birth date", "City", "Newsletter", "Bonus", "Owner",
    "Segment", "Comment",
)  # fmt: skip

_FIRST = ("Grace", "Елена", "Ivan", "Мария", "John", "Anna", "Пётр", "Olga")
_LAST = ("O'Neill", "Козлова", "Petrov", "Смирнова", "Smith", "Sidorova", "Иванов", "Kim", "Lebedeva", "Brown", "Orlov")
_CITIES = ("York", "Омск", "Moscow", "Пермь", "Riga", "Казань", "Sochi")

_JOB = """
name = "{name}"

[source]
path = "{source}"

[target]
url = "{url}"
workflow_id = 12
{target}

[request]
matching = "email"
email = "{{Email}}"
skip_triggers = true

[request.data]
email = "{{Email}}"
_fname = "{{First name}}"
_lname = "{{Last name}}"
_bdate = {{ column = "Birth date", as = "date", format = "%d.%m.%Y" }}
_city = "{{City}}"
phones = [ {{ column = "Phone", as = "phone", region = "RU" }} ]
crm_id = {{ column = "Client ID", required = true }}
newsletter = {{ column = "Newsletter", as = "bool", true = ["yes"], false = ["no"] }}
bonus = {{ column = "Bonus", as = "float", decimal = "," }}
segment = "{{Segment}}"

[[request.data.subscriptions]]
channel = "email"
resource_id = 7
email = "{{Email}}"

{content}
[limits]
concurrency = {concurrency}
{limits}
"""


def export(rows: int) -> Path:
    """A CSV file of so many people, made once."""
    path = BUILD / "exports" / f"people-{rows}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(map(_person, range(rows)))
        part.replace(path)
    return path


def _person(n: int) -> tuple[str, ...]:
    first, last = _FIRST[n % len(_FIRST)], _LAST[n % len(_LAST)]
    born = f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.{1950 + n % 55}"
    return (
        f"{n:08d}", first, last, f"person.{n}@example.com", f"+7 9{n % 10**9:09d}", born,
        _CITIES[n % len(_CITIES)], "yes" if n % 3 else "no", f"{n % 5000},{n % 100:02d}",
        f"Manager {n % 40}", f"segment-{n % 17}", f"Called on day {n % 365}, wants to hear of spring offers",
    )  # fmt: skip


_CONTENT = """[request.content]
one = "Hello {First name}, your manager is {Owner}"
"""

BATCHES_OF = 500


def job(
    folder: Path,
    source: Path,
    url: str,
    concurrency: object = 64,
    limits: str = "",
    name: str = "bench",
    *,
    batches: bool = False,
) -> Path:
    """A job file that sends the export there. In batches, which have no place for `content`, on the batch call."""
    path = folder / "job.toml"
    said = '"auto"' if concurrency == "auto" else concurrency
    target = 'endpoint = "workflows/import_and_start_batch"' if batches else ""
    content = f"[batch]\nsize = {BATCHES_OF}\n" if batches else _CONTENT
    text = _JOB.format(
        name=name, source=source, url=url, concurrency=said, limits=limits, target=target, content=content
    )
    path.write_text(text, encoding="utf-8")
    return path
