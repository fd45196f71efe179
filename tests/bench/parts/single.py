"""Single calls to a server that answers at once: how near to `wrk`, and how far ahead of what people use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

from exports import export
from measure import Bars, Budget, Found, Row, alternately, count, ratios, reported
from ours import home, imports
from place import BUILD, PEERS_PYTHON, cores
from processes import NotMeasured, run
from servers import PATH, nginx
from tools import found, libraries

OURS, WRK = "batchrunner", "wrk"
TWO = "batchrunner, two processes"
AHEAD = 8.0
OF_WRK = 0.08
CONNECTIONS = 64

PEERS = Path(__file__).resolve().parents[1] / "peers"
_NAMES = {
    "requests_loop.py": "`requests`, one Session, a loop",
    "requests_pool.py": "`requests`, 32 threads",
    "httpx_client.py": "one `httpx.AsyncClient`, 64 tasks",
    "dlt_destination.py": "dlt, custom destination",
    "curl_loop.sh": "`curl` in a shell loop",
    "newman": "newman with a data file",
}


def measure(budget: Budget) -> Found:
    """Rounds of ours, wrk and every peer, in turn."""
    sizes = budget.sizes
    with nginx(cores()[-1:]) as url:
        runs = {
            OURS: lambda: ours(url, budget),
            TWO: lambda: ours(url, budget, processes=2),
            WRK: lambda: wrk(url, sizes.seconds, budget.limit_s(60)),
            **{name: lambda name=name: peer(name, url, budget) for name in _NAMES},
        }
        figures, missing = alternately(sizes.pairs, runs)
    if OURS not in figures:
        raise NotMeasured(missing[OURS])
    found = [*_of_wrk(figures, missing, OURS, "single calls, answered at once"), *_ahead(figures, missing)]
    return Found([*found, *_of_wrk(figures, missing, TWO, "the same, `--processes 2`")], [_chart(figures)])


def ours(url: str, budget: Budget, processes: int = 1) -> float:
    """Rows a second of a run with a durable ledger and result files."""
    with home() as folder:
        rows = budget.sizes.rows
        return imports(folder, export(rows), url, limit_s=budget.limit_s(180), processes=processes).rows_s


def wrk(url: str, seconds: float, limit_s: float, connections: int = CONNECTIONS) -> float:
    """Requests a second of wrk with one of our bodies."""
    script = BUILD / "wrk.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{_body()}]==]\n'
        'wrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer bench"\n',
        encoding="utf-8",
    )
    command = [found(WRK), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script, url + PATH]
    said = run(command, limit_s=limit_s, env=libraries(), cores=cores()[:1])
    if "Non-2xx" in said.out:
        raise NotMeasured("the server turned wrk away")
    match = re.search(r"Requests/sec:\s+([\d.]+)", said.out)
    if match is None:
        raise NotMeasured(f"wrk said nothing of a speed: {said.out[-200:]}")
    return float(match[1])


def peer(name: str, url: str, budget: Budget) -> float:
    """Rows a second of a peer."""
    source, seconds, limit_s = export(budget.sizes.rows), budget.sizes.slow_peers_s, budget.limit_s(90)
    if name == "newman":
        return _newman(url, source, limit_s)
    python = ["bash"] if name.endswith(".sh") else [PEERS_PYTHON]
    # dlt extracts everything before it loads anything: a number of rows bounds it, not a time.
    rows, seconds = (int(1_000 * seconds), 1e9) if name.startswith("dlt") else (budget.sizes.rows, seconds)
    return reported(run([*python, PEERS / name, url, source, rows, seconds], limit_s=limit_s).out)


def _newman(url: str, source: Path, limit_s: float) -> float:
    folder = BUILD / "newman"
    rows = 300
    data = folder / "people.csv"
    with source.open(encoding="utf-8") as lines:
        data.write_text("".join(next(lines) for _ in range(rows + 1)), encoding="utf-8")
    collection, told = folder / "collection.json", folder / "told.json"
    collection.write_text(json.dumps(_collection(url)), encoding="utf-8")
    command = [found("newman"), "run", collection, "-d", data, "-n", rows, "-r", "json", "--reporter-json-export", told]
    run(command, limit_s=limit_s)
    seen = json.loads(told.read_text(encoding="utf-8"))["run"]
    if seen["stats"]["requests"]["failed"] or seen["stats"]["requests"]["total"] != rows:
        raise NotMeasured("newman did not send every row")
    return rows / (seen["timings"]["completed"] - seen["timings"]["started"]) * 1000  # type: ignore[no-any-return]


def _collection(url: str) -> object:
    body = '{"matching":"email","email":"{{Email}}","workflow_id":12,"data":{"email":"{{Email}}","_city":"{{City}}"}}'
    request = {
        "method": "POST",
        "header": [{"key": "Content-Type", "value": "application/json"}, {"key": "Authorization", "value": "Bearer b"}],
        "body": {"mode": "raw", "raw": body},
        "url": url + PATH,
    }
    schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    return {"info": {"name": "bench", "schema": schema}, "item": [{"name": "import", "request": request}]}


def _body() -> str:
    """About as many bytes as our requests have."""
    return json.dumps({"email": "person.1@example.com", "workflow_id": 12, "data": {"comment": "x" * 420}})


# --- rows of the table -------------------------------------------------------------------------------


def _of_wrk(figures: dict[str, list[float]], missing: dict[str, str], one: str, called: str) -> list[Row]:
    what = f"{called}: rows/s against `wrk`"
    target = f"≥ {OF_WRK:.0%}"
    if one not in figures:
        return [Row("single", what, "–", target=target, note=missing[one])]
    mine = median(figures[one])
    if WRK not in figures:
        return [Row("single", what, count(mine), target=target, note=missing[WRK])]
    share = ratios(figures, one, WRK)
    return [Row("single", what, count(mine), count(median(figures[WRK])), f"{share:.1%}", target, share >= OF_WRK)]


def _ahead(figures: dict[str, list[float]], missing: dict[str, str]) -> list[Row]:
    mine, rows = count(median(figures[OURS])), []
    fastest = max((name for name in _NAMES if name in figures), key=lambda name: median(figures[name]), default="")
    for name, told in _NAMES.items():
        what, target = f"… against {told}", f"≥ {AHEAD:g}×" if name == fastest else "ahead"
        if name not in figures:
            rows.append(Row("single", what, mine, target=target, note=missing.get(name, "")))
            continue
        times = ratios(figures, OURS, name)
        met = times >= (AHEAD if name == fastest else 1.0)
        rows.append(Row("single", what, mine, count(median(figures[name])), f"{times:.1f}×", target, met))
    return rows


def _chart(figures: dict[str, list[float]]) -> Bars:
    named = {_NAMES.get(name, name).replace("`", ""): median(found) for name, found in figures.items()}
    return Bars("Rows a second, single calls, answered at once", "rows/s", named, log=True)
