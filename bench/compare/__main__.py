"""Run edgews beside its peers and show what came out.

`python -m bench.compare` from the top of the checkout; `bench/README.md` says how to read it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .memory import measure_all
from .results import Case, Report, case_group, case_of, environment
from .rounds import QUICK, THOROUGH, Pace, race
from .rows import Row, groups
from .tables import markdown, terminal
from .worker import Workers


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rows", default="", help="only rows whose key contains one of these, with commas")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw it (needs matplotlib)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    return parser.parse_args()


def measure(row: Row, pace: Pace) -> Case:
    """Check every contender of a row, let them take turns, and check them again.

    Raises:
        RuntimeError: one does not produce what it should.
    """
    with Workers(row) as contenders:
        for contender in contenders.values():
            contender.check()
        timings = race(row, contenders, pace)
        for contender in contenders.values():
            contender.check()
    return case_of(row, timings)


def progress(doing: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{doing:40}\r", end="", file=sys.stderr, flush=True)


def compare(pace: Pace, wanted: list[str], *, memory: bool) -> Report:
    measured = []
    for group in groups():
        rows = [row for row in group.rows if not wanted or any(part in row.key for part in wanted)]
        cases = []
        for row in rows:
            progress(row.key)
            cases.append(measure(row, pace))
        if cases:
            measured.append(case_group(group, cases))
    progress("")
    return Report(environment(pace), measured, measure_all() if memory else [])


def main() -> int:
    options = arguments()
    wanted = [part for part in options.rows.split(",") if part]
    pace = QUICK if options.quick else THOROUGH
    report = compare(pace, wanted, memory=not options.no_memory and not wanted)
    print("\n".join(terminal(report)))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(report)) + "\n")
    if options.png:
        from .chart import draw

        draw(report, options.png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
