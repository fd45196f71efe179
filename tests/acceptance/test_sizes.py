"""What is too large for one request is told before anything is sent."""

from __future__ import annotations

from typing import Any

from bench import Bench, counts, people


def inline(column: str) -> dict[str, Any]:
    """An attachment whose content a column names."""
    file = {"column": column, "as": "file", "folder": "files"}
    return {"name": f"{{{column}}}", "mimetype": "application/pdf", "file_key": f"{{{column}}}", "data": file}


def test_attachments_that_are_small_one_by_one_may_be_too_large_together(bench: Bench) -> None:
    """Such a row is unusable, with a sentence; those beside it go."""
    (bench.home / "files").mkdir()
    for name in "abc":
        (bench.home / "files" / f"{name}.pdf").write_bytes(name.encode() * 3_000)
    attach = [inline(column) for column in ("one", "two", "three")]
    bench.job(request={"attach": attach}, target={"max_bytes": 10_000})
    rows = [{**row, "one": "a.pdf", "two": "b.pdf", "three": ""} for row in people(3)]
    rows[1]["three"] = "c.pdf"
    bench.csv(rows)
    checked = bench.cli("check", "job.toml")
    assert checked.code == 1, checked.told()
    assert "row 2: too_large: the request would have " in checked.out
    assert "attach less, upload files once (upload = true), or set target.max_bytes" in checked.out
    ended = bench.run().json
    assert (counts(ended), ended["codes"]) == ({"accepted": 2, "unusable": 1}, {"unusable:too_large": 1})
