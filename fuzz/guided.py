"""The search with atheris, which sees which lines each input reaches.

It runs in a process of its own, because libFuzzer ends the process when it is done:
`python -m fuzz.guided TARGET CORPUS [options of libFuzzer]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["edgews", "h11"]):
    from .seeds import WORDS, seeds
    from .targets import TARGETS


def main() -> None:
    """Write the seeds into the corpus, and hand over to libFuzzer."""
    name, corpus = sys.argv[1], Path(sys.argv[2])
    for i, seed in enumerate(seeds()[name]):
        (corpus / f"seed-{i}").write_bytes(seed)
    words = corpus.parent / "words"
    words.write_text("".join('"' + "".join(f"\\x{octet:02x}" for octet in word) + '"\n' for word in WORDS))
    target = TARGETS[name]

    def run(data: bytes) -> None:
        target(data)

    atheris.Setup([sys.argv[0], f"-dict={words}", *sys.argv[3:], str(corpus)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
