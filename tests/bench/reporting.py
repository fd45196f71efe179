"""Results as they gather: a JSON file that keeps them, a block of the page, and the charts."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charts import svg
from tools import versions

BEGIN, END = "<!-- bench: begin, written by `make bench` -->", "<!-- bench: end -->"

HEAD = ["what", "ours", "peer", "ratio", "target", "met"]


class Results:
    """What was found by part. Parts that were not measured this time keep what was found earlier."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        """Take up what is there."""
        self.page, self._data, self._chart = (folder / f"performance.{kind}" for kind in ("md", "json", "svg"))
        self._quick = quick
        self._parts: dict[str, Any] = {}
        if self._data.exists():
            self._parts = json.loads(self._data.read_text(encoding="utf-8"))["parts"]

    def add(self, name: str, told: dict[str, Any]) -> None:
        """A part is done: write everything."""
        known = self._parts.get(name)
        if told["wrong"] and known and known["found"]["rows"]:
            return  # an older figure, with its date, is better than none
        found = told["found"] or {"rows": [], "charts": [], "tables": []}
        stamp = {
            "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "commit": versions()["batchrunner"],
            "load": _load(),
        }
        self._parts[name] = {"found": found, "wrong": told["wrong"], **stamp}
        kept = {"machine": _machine(), "versions": versions(), "parts": self._parts}
        self._data.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self._chart.write_text(svg([chart for part in self._parts.values() for chart in part["found"]["charts"]]))
        self._write_page()

    def _write_page(self) -> None:
        page = self.page.read_text(encoding="utf-8") if self.page.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        self.page.write_text(f"{before}{BEGIN}\n\n{self._block()}\n{END}{after}", encoding="utf-8")

    def _block(self) -> str:
        parts = list(self._parts.values())
        lines = [_table(HEAD, [_cells(row) for part in parts for row in part["found"]["rows"]])]
        lines.append("")
        lines += [f"- {row['what']}: {row['note']}" for part in parts for row in part["found"]["rows"] if row["note"]]
        lines += [f"- {name}: not measured: {part['wrong']}" for name, part in self._parts.items() if part["wrong"]]
        lines += ["", "![charts of the figures](performance.svg)", ""]
        for part in parts:
            for title, head, cells in part["found"]["tables"]:
                lines += [f"### {title}", "", _table(head, cells), ""]
        return "\n".join([*lines, self._where()])

    def _where(self) -> str:
        told = " · ".join(f"{name} {version}" for name, version in versions().items())
        when = ", ".join(
            f"{name} at {part['commit']} on {part['when']} (load {part['load']})" for name, part in self._parts.items()
        )
        command = "make bench QUICK=1" if self._quick else "make bench"
        return f"### Where\n\n{_machine()}. Command: `{command}`.\n\n{told}.\n\nParts: {when}.\n"

    def as_text(self) -> str:
        """The table for a terminal."""
        rows = [_cells(row) for part in self._parts.values() for row in part["found"]["rows"]]
        widths = [max(len(cell) for cell in column) for column in zip(HEAD, *rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [HEAD, *rows]]
        for part in self._parts.values():
            for title, head, cells in part["found"]["tables"]:
                lines += [
                    "",
                    f"{title}: {', '.join(head)}",
                    *("  " + "  ".join(f"{cell:>10}" for cell in row) for row in cells),
                ]
        return "\n".join(line.rstrip() for line in lines)


def _cells(row: dict[str, Any]) -> list[str]:
    met = {True: "yes", False: "**no**", None: "–"}[row["met"]]
    return [row["what"], row["ours"], row["peer"], row["ratio"], row["target"], met]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory_gb:.0f} GiB, {platform.system()} {platform.release()}"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"
