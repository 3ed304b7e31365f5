"""`python -m edgews` is `edgews`."""

from __future__ import annotations

import sys

from edgews.cli import main

if __name__ == "__main__":
    sys.exit(main())
