"""Writing what was found into a job file, which stays as a person has written it: comments, order, spaces."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.errors import ConfigError
from batchrunner.model import Value

if TYPE_CHECKING:
    import tomlkit


class Setting(Value, frozen=True):
    """A key of the job file, as it should stand."""

    table: str
    key: str
    value: str | bool
    why: str
    """For the comment behind it."""


def save(path: Path, settings: Sequence[Setting]) -> list[str]:
    """Write settings into a job file, at once or not at all. Returns the changed keys. Raises ConfigError."""
    import tomlkit  # noqa: PLC0415  only those who save need it
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = tomlkit.parse(text)
        changed = [name for one in settings if (name := _set(document, one))]
        if changed:
            _replace(path, tomlkit.dumps(document))
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: the findings cannot be saved ({reason}); write them yourself") from error
    return changed


def _set(document: tomlkit.TOMLDocument, setting: Setting) -> str | None:
    """Set one key. None: it stands there already."""
    import tomlkit  # noqa: PLC0415
    from tomlkit.items import InlineTable  # noqa: PLC0415

    table = document.get(setting.table)
    if table is None:
        table = tomlkit.table()
        document[setting.table] = table
    if table.get(setting.key) == setting.value:
        return None
    item = tomlkit.item(setting.value)
    if not isinstance(table, InlineTable):  # which has no room for comments
        # What a person has written behind the value stays; our reason comes where there was nothing.
        space, comment = _comment_behind(table, setting.key) or ("  ", f"# {setting.why}")
        item.trivia.comment_ws, item.trivia.comment = space, comment
    table[setting.key] = item
    return f"{setting.table}.{setting.key}"


def _comment_behind(table: Any, key: str) -> tuple[str, str] | None:  # noqa: ANN401  a table of whichever kind
    trivia = getattr(table.item(key), "trivia", None) if key in table else None
    return (trivia.comment_ws, trivia.comment) if trivia is not None and trivia.comment else None


def _replace(path: Path, text: str) -> None:
    """Put a new text in a file's place, with its mode, so that nobody ever reads half of it."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(target.stat().st_mode & 0o7777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
