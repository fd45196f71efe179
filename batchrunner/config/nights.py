"""What the job file says about loads that nobody watches: how an export arrives, what becomes of it, when to stop."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from batchrunner.addresses import is_address
from batchrunner.config.nodes import Table
from batchrunner.config.quantities import Duration, HoursText, Percent, TimeOfDay

TEMPORARY = ("*.part", "*.partial", "*.tmp", "*.temp", "*.filepart", "*.crdownload", "*.swp", "~*", "*~", ".*")
"""Names that programs give to files which they have not finished."""


class ArrivalTable(Table):
    """When a file has arrived, and what must hold of it before anything is sent."""

    take: Literal["newest", "all"] = Field(
        default="newest", description="Of several files: the newest one, or all that were not loaded yet, oldest first."
    )
    stable_for: Duration = Field(
        default=timedelta(0), description="A file whose size and times have not changed for so long is complete."
    )
    done_marker: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[^/\\]+$",
        description="A file beside the export that says it is complete: .done for export.csv.done, or a whole name.",
    )
    ignore: tuple[str, ...] = Field(
        default=TEMPORARY, strict=False, description="Names that are no exports yet, as *.part."
    )
    deadline: TimeOfDay | None = Field(
        default=None, description="A new file is waited for until then; without one the run ends in an error."
    )
    min_rows: int = Field(default=1, ge=0, description="A file with fewer records is not sent.")
    shrink_alert: Percent | None = Field(
        default=None, description="A file that has shrunk by more than this against the last nights is not sent."
    )


class AfterTable(Table):
    """What becomes of a file and its traces once it was loaded. Folders may hold {date:%Y-%m}."""

    archive_to: str | None = Field(
        default=None, min_length=1, description="Loaded files are moved there; relative to the job file."
    )
    error_to: str | None = Field(
        default=None, min_length=1, description="Files that cannot be loaded are moved there; relative to the job file."
    )
    keep: Duration | None = Field(
        default=None, description="How long archives, run directories and outcomes are kept, for `purge` and schedules."
    )


class GuardsTable(Table):
    """When a run stops although nothing is wrong with its rows."""

    hours: HoursText | None = Field(
        default=None, description="Rows are sent within these hours only, as 22:00-07:00; the rest goes the next night."
    )
    max_rows: int | None = Field(default=None, ge=1, description="No run sends more rows than these.")
    daily_limit: int | None = Field(default=None, ge=1, description="On no day does the job send more rows than these.")


def check_for_addresses(path: str, arrival: ArrivalTable | None, after: AfterTable) -> None:
    """Refuse what is done with files of this machine where the export lies on another. For validators."""
    if not is_address(path):
        return
    moved = [f"'after.{name}'" for name in ("archive_to", "error_to") if getattr(after, name)]
    for what in [*(["'arrival'"] if arrival is not None else []), *moved]:
        raise PydanticCustomError(
            "address",
            "{what} is for files of this machine, and 'source.path' is an address; remove it, or fetch the export into "
            "a folder and name that",
            {"what": what},
        )
