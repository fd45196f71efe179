"""Workbooks and Parquet files through the command line: what failed goes back into the job that read them."""

from __future__ import annotations

from pathlib import Path

from bench import Bench

SHELF = Path(__file__).parents[1] / "shelf" / "exports"


def test_the_rows_of_a_parquet_file_that_were_unusable_are_corrected_in_its_error_file(bench: Bench) -> None:
    """Its structures are cells of JSON there, and the job goes on naming the values in them."""
    (bench.home / "contacts.parquet").write_bytes((SHELF / "contacts.parquet").read_bytes())
    assert bench.cli("init", "contacts.parquet", "--name", "first", "--to", "job.toml").code == 0
    ended = bench.run("--url", bench.sandbox.url)
    assert (ended.json["accepted"], ended.json["unusable"]) == (2, 1), ended.told()
    errors = Path(ended.json["run_dir"]) / "error.csv"
    corrected = errors.read_text(encoding="utf-8").replace('""email"": null', '""email"": ""cid@example.com""')
    assert "cid@example.com" in corrected
    (bench.home / "corrected.csv").write_text(corrected, encoding="utf-8")
    again = bench.run("corrected.csv", "--url", bench.sandbox.url)
    assert (again.json["read"], again.json["accepted"]) == (1, 1), again.told()
