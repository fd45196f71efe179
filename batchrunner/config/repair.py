"""`[repair]`: what becomes of cells that a spreadsheet or an export has damaged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batchrunner.config.nodes import Table

Mend = Literal["repair", "unusable", "keep"]
"""`repair`: where nothing is lost by it, else the row is unusable. `keep`: as if nobody had noticed, but counted."""


class RepairTable(Table):
    """What becomes of damaged cells: what can be repaired without loss is, the rest makes its row unusable."""

    nbsp: Literal["trim", "space", "unusable", "keep"] = Field(
        default="trim",
        description="No-break spaces and characters without width. trim: taken off at the ends of a text, and out of "
        "addresses, numbers and dates. space: in a text, they become spaces everywhere.",
    )
    encoded_twice: Mend = Field(default="repair", description="Text that was encoded twice, as in Ð˜Ð²Ð°Ð½.")
    null_text: Literal["empty", "unusable", "keep"] = Field(
        default="empty", description="#N/A, NULL and the like as a text. empty: the cell counts as empty."
    )
    formula: Mend = Field(
        default="repair", description='Spreadsheet formulas. repair: ="00123" is 00123; others cannot be repaired.'
    )
    e_notation: Mend = Field(
        default="repair",
        description="Phones and whole numbers such as 7.9001234567E+10. repair: where no digit is lost.",
    )
    lost_prefix: Mend = Field(default="repair", description="Phones that lost their + or a leading zero.")
    russian_8: Mend = Field(default="repair", description="Russian phones that begin with 8 instead of +7.")
    excel_date: Literal["repair", "1904", "unusable", "keep"] = Field(
        default="repair",
        description="Dates as a spreadsheet counts days, as 45231. 1904: for files of old Macs.",
    )
    several_emails: Literal["first", "unusable", "keep"] = Field(
        default="unusable", description="Several e-mail addresses in a cell. first: the others are left out."
    )
    email_dots: Mend = Field(default="repair", description="Dots, commas and semicolons at the ends of an address.")
    look_alikes: Mend = Field(
        default="repair", description="Cyrillic letters in a Latin address that look the same: аnna@example.com."
    )


AS_IT_STANDS = RepairTable(
    nbsp="keep",
    encoded_twice="keep",
    null_text="keep",
    formula="keep",
    e_notation="keep",
    lost_prefix="keep",
    russian_8="keep",
    excel_date="keep",
    several_emails="keep",
    email_dots="keep",
    look_alikes="keep",
)
"""How jobs read cells before there were repairs."""
