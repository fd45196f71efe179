"""`python -m batchrunner`."""

from __future__ import annotations

from batchrunner.cli import main

if __name__ == "__main__":
    main()
