"""Fuzz one target for a time, guided by coverage: `python tests/fuzz NAME --for 60`. Needs atheris.

What is found is written to `cases/NAME/`, where `make test` tries it from then on; mend it before you commit it.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from targets import CASES, NAMES, target

HANG_S = 30


def main() -> None:
    """Never comes back: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--for", dest="seconds", type=int, default=60)
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["batchrunner"], enable_loader_override=False):
        one = target(options.name)

    def tried(data: bytes) -> None:
        try:
            one.try_one(data)
        except BaseException:
            folder = CASES / one.name
            folder.mkdir(parents=True, exist_ok=True)
            found = folder / hashlib.sha256(data).hexdigest()[:12]
            found.write_bytes(data)
            print(f"found: {found}", file=sys.stderr)
            raise

    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{one.name}-"))
    for number, seed in enumerate([*one.seeds, *(case.read_bytes() for case in one.cases)]):
        (corpus / str(number)).write_bytes(seed)
    words = [f"-max_total_time={options.seconds}", f"-timeout={HANG_S}", f"-artifact_prefix={corpus}/", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *words, str(corpus)], tried)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
