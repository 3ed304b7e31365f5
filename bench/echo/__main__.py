"""What servers on loopback cost: `python -m bench.echo`; `bench/README.md` says how to read it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .loads import Pace
from .report import Measured, as_json, draw, markdown, terminal
from .rows import ROWS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="for each contender (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of an echo round (default: %(default)s)")
    keys = ", ".join(row.key for row in ROWS)
    parser.add_argument("--rows", default="", help=f"only these, with commas, of {keys}")
    parser.add_argument("--servers", default="", help="only contenders whose name contains one of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw it (needs matplotlib)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    wanted = [part for part in options.rows.split(",") if part]
    if unknown := set(wanted) - {row.key for row in ROWS}:
        print(f"no such row: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    some = [part for part in options.servers.split(",") if part]
    pace = Pace(options.rounds, options.seconds)
    rows = []
    for row in ROWS:
        names = [name for name in row.names if not some or any(part in name for part in some)]
        if (wanted and row.key not in wanted) or not names:
            continue
        measured = Measured(row, row.measure(names, pace))
        rows.append(measured)
        print("\n".join(terminal(measured)), flush=True)
    if options.json:
        options.json.write_text(json.dumps(as_json(rows, pace), indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(rows, pace)) + "\n")
    if options.png:
        draw(rows, options.png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
