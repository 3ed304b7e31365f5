"""All groups of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.conformance import (
    autofragment,
    closing,
    compression,
    deflate_rules,
    deflate_streams,
    fragmentation,
    framing,
    limits,
    negotiation,
    opcodes,
    pings,
    reserved_bits,
    utf8,
)
from tests.conformance.rows import Row

GROUPS: Final[dict[str, Callable[[], Iterator[Row]]]] = {
    "framing": framing.rows,
    "pings": pings.rows,
    "reserved-bits": reserved_bits.rows,
    "opcodes": opcodes.rows,
    "fragmentation": fragmentation.rows,
    "utf8": utf8.rows,
    "closing": closing.rows,
    "limits": limits.rows,
    "autofragment": autofragment.rows,
    "compression": compression.rows,
    "deflate": deflate_streams.rows,
    "deflate-rules": deflate_rules.rows,
    "negotiation": negotiation.rows,
}

TABLE: Final[list[Row]] = [row for rows in GROUPS.values() for row in rows()]
