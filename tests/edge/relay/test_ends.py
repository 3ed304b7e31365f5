from __future__ import annotations

import pytest

from edgews.edge.relay.ends import End, Party, Why


def test_ends_are_values() -> None:
    end = End(Party.CLIENT, 1000, "the client closed", Why.CLOSE)
    assert end == End(Party.CLIENT, 1000, "the client closed", Why.CLOSE)
    with pytest.raises(AttributeError):
        end.code = 1001  # type: ignore[misc]
    assert len({why.value for why in Why}) == len(Why)
