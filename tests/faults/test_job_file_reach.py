"""What a job file can do: name an export and describe requests. It runs nothing, and opens what it names alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench import Bench

WATCHED = """
import json, sys
from pathlib import Path
from batchrunner.chunks import Chunk
from batchrunner.config import load_job
from batchrunner.errors import BatchrunnerError
from batchrunner.mapping import compile_mapping, lint_mapping, mapping_text
from batchrunner.model import Row, Source

def judge(path):
    job = load_job(Path(path))
    lint_mapping(job)
    mapping_text(job)
    cells = ("ann@example.com", "$(touch owned) {email} =1+1")
    source = Source(path="people.csv", fingerprint="f" * 32, size_bytes=1)
    rows = [Row(1, 2, cells)]
    compile_mapping(job, source, ("email", "name"), "people.csv").map(Chunk(("email", "name"), rows, [cells]))

judge(sys.argv[1])  # everything is imported now
seen, told = [], []
def hook(event, args):
    if event in ("open", "compile", "exec") or event.split(".")[0] in ("os", "subprocess", "socket", "import"):
        seen.append([event, str(args[0]) if args else ""])
sys.addaudithook(hook)
for path in sys.argv[2:]:
    said = ""
    seen.clear()
    try:
        judge(path)
    except BatchrunnerError as error:
        said = str(error)
    told.append([path, list(seen), said])
print(json.dumps(told))
"""

PLAIN = 'name = "crm"\n[source]\npath = "people.csv"\n[target]\nurl = "https://platform.test"\nworkflow_id = 1\n'
REQUEST = '[request]\nmatching = "email"\nemail = "{email}"\n'
CODE = (
    "$(touch owned)",
    "`touch owned`",
    "{__import__('os').system('touch owned')}",
    "{email.__class__.__mro__}",
    "{{ ''.__class__ }}",
    "%(touch owned)s",
    "!!python/object/apply:os.system ['touch owned']",
    "file:///etc/passwd",
    "../../../../etc/passwd",
)


PLACES = {
    "mapping": "[request.data]\nx = {}\n",
    "constant": "[request.content]\nx = {{ a = {} }}\n",
    "when": "[rules]\nwhen = {}\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_in_a_job_file_is_carried_out(place: str, tmp_path: Path) -> None:
    """From its text to a request: only the job file is opened, and nothing is imported, started or connected to."""
    warm = tmp_path / "warm.toml"
    warm.write_text(PLAIN + REQUEST + '[request.data]\nx = "{name|trim} !"\n[rules]\nwhen = "not {email} == x"\n')
    jobs = []
    for number, code in enumerate(CODE):
        jobs.append(tmp_path / f"{number}.toml")
        jobs[-1].write_text(PLAIN + REQUEST + PLACES[place].format(json.dumps(code)))
    command = [sys.executable, "-c", WATCHED, str(warm), *map(str, jobs)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert len(told) == len(CODE)
    for path, seen, said in told:
        assert seen == [["open", path]]
        assert "root:" not in said
    assert not (tmp_path / "owned").exists()


def test_code_in_an_export_is_sent_as_the_text_it_is(bench: Bench) -> None:
    """Through the whole command line: every cell arrives, and none has done anything."""
    bench.job()
    bench.csv([{"email": f"p{n}@example.com", "name": code} for n, code in enumerate(CODE)])
    ended = bench.run()
    assert ended.json["accepted"] == len(CODE)
    sent = {json.loads(one["body"])["data"]["_fname"] for one in bench.sandbox.requests(limit=100)}
    assert sent == set(CODE)
    assert not (bench.home / "owned").exists()
