"""What `check` finds in a file: a profile of each column and a judgement, as a table, as JSON and as a page.

chunks -> columns (`profile`) + ends of rows -> Inspection (`inspection`) -> text (`tables`), page (`page`, `charts`)
"""

from __future__ import annotations

from batchrunner.inspection.findings import Inspection
from batchrunner.inspection.page import page
from batchrunner.inspection.profile import ColumnProfile, Profiler
from batchrunner.inspection.tables import inspection_text, inspection_values

__all__ = ["ColumnProfile", "Inspection", "Profiler", "inspection_text", "inspection_values", "page"]
