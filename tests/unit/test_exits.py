"""The exit codes are a contract with whoever schedules us."""

from __future__ import annotations

import errno

import pytest

from batchrunner import errors
from batchrunner.cli.exits import Exit, exhausted, of_error, of_totals, table
from batchrunner.errors import BatchrunnerError, Interrupted
from batchrunner.model import SkipReason, Totals

OF_ERRORS = {
    errors.UsageError: 2,
    errors.ConfigError: 2,
    errors.TooManyErrors: 3,
    errors.SourceError: 4,
    errors.MissingFile: 4,
    errors.RefusedFile: 4,
    errors.LedgerError: 4,
    errors.ResultError: 4,
    errors.ApiRefusedUs: 4,
    errors.Exhausted: 4,
    errors.SenderDied: 4,
    errors.Unbalanced: 4,
    errors.NotifyError: 4,
    errors.HeldBack: 6,
    errors.AlreadyRunning: 75,
}


@pytest.mark.parametrize(("error", "code"), OF_ERRORS.items())
def test_each_error_has_its_exit_code(error: type[BatchrunnerError], code: int) -> None:
    """As the tree of errors says."""
    assert of_error(error("a sentence")) == code
    [line] = [line for line in (errors.__doc__ or "").splitlines() if error.__name__ in line]
    assert line.split()[-1] == str(code)


def test_no_error_is_without_an_exit_code_here() -> None:
    """A new kind of error must be decided about."""
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BatchrunnerError)}
    assert kinds == {*OF_ERRORS, BatchrunnerError, Interrupted}


@pytest.mark.parametrize(("number", "code"), [(2, Exit.SIGINT), (15, Exit.SIGTERM)])
def test_a_signal_ends_as_shells_expect(number: int, code: Exit) -> None:
    """128 plus its number."""
    assert of_error(Interrupted(number)) == code


@pytest.mark.parametrize(
    ("totals", "code"),
    [
        (Totals(), 0),
        (Totals(read=3, accepted=3), 0),
        (Totals(read=2, skipped={SkipReason.ACCEPTED: 1, SkipReason.REPEAT_IN_RUN: 1}), 0),
        (Totals(rejected=1), 1),
        (Totals(failed=1), 1),
        (Totals(unusable=1), 1),
        (Totals(skipped={"rejected": 1}), 1),
        (Totals(in_doubt=1), 5),
        (Totals(skipped={"in_doubt": 1}), 5),
        (Totals(skipped={"window": 1}), 5),
        (Totals(in_doubt=1, rejected=5, failed=5, unusable=5), 5),
        (Totals(rejected=5, skipped={"window": 1, "rejected": 1}), 5),
        (Totals(accepted=9, skipped={"in_doubt": 0, "rejected": 0}), 0),
    ],
)
def test_a_run_that_went_through_ends_with_its_worst_row(totals: Totals, code: int) -> None:
    """A row in doubt wins over rows that are merely bad, and so does one that waits in doubt since earlier."""
    assert of_totals(totals) == code


def test_the_table_names_every_code() -> None:
    """What `--help` shows is the whole of it."""
    lines = table().splitlines()
    assert [int(line.split()[0]) for line in lines] == [0, 1, 2, 3, 4, 5, 6, 75, 130, 143]
    assert all(code.meaning in line for code, line in zip(Exit, lines, strict=True))


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (RuntimeError("can't start new thread"), "threads or memory"),
    ],
)
def test_what_the_machine_has_no_more_of_is_said(error: Exception, what: str) -> None:
    """Wherever it comes up, and behind whatever it hides."""
    hiding = RuntimeError("the HTTP side has died")
    hiding.__cause__ = error
    assert str(exhausted(error)) == str(exhausted(hiding))
    assert f"may have no more {what}; raise the limit" in str(exhausted(error))


@pytest.mark.parametrize("error", [None, ValueError("x"), OSError(errno.ENOENT, "x"), RuntimeError("x")])
def test_a_bug_is_not_taken_for_a_want_of_something(error: Exception | None) -> None:
    """It is shown as what it is."""
    assert exhausted(error) is None
