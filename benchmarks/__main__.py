"""Everything, one after the other, and the page of it: ``python -m benchmarks``. It takes some twenty minutes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.process import ROOT
from benchmarks.report import PAGE, RESULTS


def main() -> int:
    """Whether all went well; what fails does not keep the rest from being measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of the workloads; each more takes some three minutes")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    asked = parser.parse_args()
    kept = ("--json", asked.json)
    commands = (
        ("run", "--rounds", asked.rounds, *kept),
        ("layers", *kept),
        ("first", *kept),
        ("chain", *kept),
        ("memory", *kept),
        ("scans", *kept),
        ("imports", *kept),
        ("optimize", *kept),
        ("certified",),
        ("report", asked.json, "--to", asked.page),
    )
    start = time.monotonic()
    failed = False
    for module, *arguments in commands:
        command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
        print(f"\n=== {' '.join(command[1:])}   ({time.monotonic() - start:.0f} s so far)", flush=True)
        failed |= bool(subprocess.run(command, cwd=ROOT, check=False).returncode)
    print(f"\n{time.monotonic() - start:.0f} s in all{', and something failed' * failed}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
