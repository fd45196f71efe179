"""Folders that only their owner can look into, every one that is made on the way to them included."""

from __future__ import annotations

from pathlib import Path


def private_folder(path: Path) -> None:
    """Make a folder and what is missing above it. `mkdir(parents=True)` would leave the upper ones open to all."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)  # it must be a folder, if it was there
