from __future__ import annotations

import inspect
import re

import pytest

from edgews import errors
from edgews.errors import (
    CompressionError,
    EdgewsError,
    HandshakeError,
    InvalidUtf8Error,
    InvalidValueError,
    LocalProtocolError,
    MessageTooBigError,
    ProtocolError,
    RemoteProtocolError,
    StateError,
)

CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, EdgewsError)
]
REMOTE = [error for error in CLASSES if issubclass(error, RemoteProtocolError)]
LOCAL = [error for error in CLASSES if issubclass(error, LocalProtocolError)]


def test_every_error_is_local_or_remote_and_never_both():
    assert set(CLASSES) - {EdgewsError, ProtocolError} == {*LOCAL, *REMOTE}
    assert not {*LOCAL} & {*REMOTE}
    assert all(issubclass(error, ProtocolError) for error in (*LOCAL, *REMOTE))


def test_errors_are_exceptions_and_nothing_more_special():
    # `except ValueError` around user code must not catch a protocol error by accident.
    assert EdgewsError.__bases__ == (Exception,)
    assert all(len(error.__bases__) == 1 for error in CLASSES)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_family_says_what_it_is_and_where_the_rule_stands(error):
    assert error.__doc__
    if issubclass(error, ProtocolError):
        assert re.match(r"RFC \d{4}", error.section)


@pytest.mark.parametrize("error", [StateError, InvalidValueError], ids=lambda error: error.__name__)
def test_local_families_name_a_section(error):
    assert "§" in error.section
    assert str(error("why")) == "why"


@pytest.mark.parametrize("error", REMOTE, ids=lambda error: error.__name__)
def test_remote_errors_carry_the_close_code_of_their_family(error):
    codes = {InvalidUtf8Error: 1007, CompressionError: 1007, MessageTooBigError: 1009}
    raised = error("why")
    assert str(raised) == "why"
    assert raised.code == error.default_code == codes.get(error, 1002)
    if error is not RemoteProtocolError:
        assert "§" in error.section


def test_a_remote_error_may_carry_another_code():
    assert MessageTooBigError("why", code=1008).code == 1008
    # Zero is a value, not an absent one.
    assert RemoteProtocolError("why", code=0).code == 0


def test_a_handshake_error_carries_the_http_answer():
    plain = HandshakeError("why")
    assert (plain.status, plain.header, plain.headers) == (400, None, ())
    version = (("Sec-WebSocket-Version", "13"),)
    full = HandshakeError("why", status=426, header="Sec-WebSocket-Version", headers=version)
    assert (full.status, full.header, full.headers) == (426, "Sec-WebSocket-Version", version)
    assert str(full) == "why"


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    named = set(re.findall(r"\b\w+Error\b", inspect.getdoc(errors) or ""))
    assert named == {error.__name__ for error in CLASSES}
