"""The room of result files: what became of each row, in files beside the ledger that a person can open and feed back.

files       written as the run goes, each row after its outcome is durable
mending     made whole after a run that could not finish them
"""

from __future__ import annotations

from batchrunner.results.files import COLUMNS, ResultFiles, Shape, write_private
from batchrunner.results.mending import Mending, whole_lines
from batchrunner.results.spreadsheet import spreadsheet_copies

__all__ = ["COLUMNS", "Mending", "ResultFiles", "Shape", "spreadsheet_copies", "whole_lines", "write_private"]
