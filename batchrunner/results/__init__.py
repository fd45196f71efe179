"""The room of result files: what became of each row, in files beside the ledger that a person can open and feed back.

files       written as the run goes, each row after its outcome is durable
writers     one row, or all the accepted ones of a commit, as a line of a table or of JSON
mending     made whole after a run that could not finish them
"""

from __future__ import annotations

from batchrunner.results.files import ResultFiles, write_private
from batchrunner.results.mending import Mending, whole_lines
from batchrunner.results.spreadsheet import spreadsheet_copies
from batchrunner.results.writers import COLUMNS, Shape

__all__ = ["COLUMNS", "Mending", "ResultFiles", "Shape", "spreadsheet_copies", "whole_lines", "write_private"]
