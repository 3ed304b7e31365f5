from __future__ import annotations

from edgews.edge.policy.conntable import ConnectionTable, Shape
from edgews.edge.policy.sharing import Sharing
from tests.edge.policy.memory import storage


def test_the_salt_is_not_shown() -> None:
    shape = Shape(1, 1)
    table = ConnectionTable(shape, storage(shape.size), b"secret")
    sharing = Sharing(b"secret", 0, {}, table)
    assert "secret" not in repr(sharing)
