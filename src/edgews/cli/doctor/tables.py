"""All that the doctor can find."""

from __future__ import annotations

from typing import Final

from edgews.cli.doctor import table_network, table_session, table_status, table_upgrade
from edgews.cli.doctor.findings import Advice

ADVICE: Final[dict[str, Advice]] = {
    row.id: row
    for rows in (table_network.ROWS, table_status.ROWS, table_upgrade.ROWS, table_session.ROWS)
    for row in rows
}
