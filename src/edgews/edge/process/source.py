"""Where a configuration comes from, in a form that goes from process to process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgews.edge.config.faults import read_text
from edgews.edge.config.file import check_values, parse_config
from edgews.edge.config.tables import Config


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration comes from: a file, or values without one.

    Attributes:
        text: of the file, as it was when it was read; so all processes have the same.
    """

    file: str
    text: str = ""
    values: dict[str, Any] | None = None

    def again(self) -> Source:
        """Read the file once more.

        Raises:
            ConfigError: it cannot be read.
        """
        return self if self.values is not None else read_source(Path(self.file))

    def config(self) -> Config:
        """Return what it says.

        Raises:
            ConfigError: with everything that is wrong.
        """
        if self.values is not None:
            return check_values(self.values, "", self.file)
        return parse_config(self.text, self.file)


def read_source(path: Path) -> Source:
    """Read a file; it is not checked.

    Raises:
        ConfigError: it cannot be read.
    """
    return Source(str(path), read_text(path, "TOML"))
