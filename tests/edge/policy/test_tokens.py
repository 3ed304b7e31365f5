"""Tokens: what was made is good for what it says and nothing else, and no other text is."""

from __future__ import annotations

import hashlib
import hmac
import json
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.tokens import MAX_TOKEN, Check, Claims, Fault, Key, check, make

KEY = Key("main", b"k" * 32)
OTHER = Key("other", b"o" * 32)
KEYS = {"main": KEY, "other": OTHER}
NOW = 1_000_000.0

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
claims = st.builds(
    Claims,
    expires=st.integers(0, 2**40),
    host=st.none() | names,
    path=st.none() | names.map(lambda name: f"/{name}"),
    subject=st.none() | names,
    nonce=st.none() | names,
)


def signed(text: str | bytes, key: Key = KEY) -> str:
    """Return a token whose claims are any text: made with the standard library alone."""
    data = text.encode() if isinstance(text, str) else text
    body = f"v1.{key.key_id}.{urlsafe_b64encode(data).decode().rstrip('=')}"
    mac = hmac.new(key.secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


@given(claims, st.sampled_from([KEY, OTHER]), st.floats(0, 2**41))
def test_what_was_made_is_good_until_it_expires(claims: Claims, key: Key, now: float) -> None:
    token = make(key, claims)
    found = check(
        token, KEYS, now, host="h" if claims.host is None else claims.host, path=claims.path or "/p"
    )
    assert found == Check(claims, None if now < claims.expires else Fault.EXPIRED)
    assert found.good is (now < claims.expires)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


@given(claims)
def test_anybody_with_the_key_can_make_one(claims: Claims) -> None:
    values = {
        "exp": claims.expires,
        "host": claims.host,
        "path": claims.path,
        "sub": claims.subject,
        "nonce": claims.nonce,
    }
    text = json.dumps({name: value for name, value in values.items() if value is not None})
    assert check(signed(text), KEYS, 0, host="", path="").claims == claims
    # And ours are of that form.
    version, key_id, encoded, _ = make(KEY, claims).split(".")
    assert (version, key_id) == ("v1", "main")
    assert json.loads(urlsafe_b64decode(encoded + "==")) == json.loads(text)


@given(claims, st.data())
def test_no_character_can_be_changed(claims: Claims, data: st.DataObject) -> None:
    token = make(KEY, claims)
    at = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(
        st.sampled_from(string.ascii_letters + string.digits + "-_.=+/ ").filter(token[at].__ne__)
    )
    changed = data.draw(
        st.sampled_from(
            [token[:at] + character + token[at + 1 :], token[:at] + token[at + 1 :], token + character]
        )
    )
    found = check(changed, KEYS, 0, host="", path="")
    assert found.claims is None
    assert found.fault in (Fault.MALFORMED, Fault.UNKNOWN_KEY, Fault.BAD_SIGNATURE)


@given(st.text(max_size=60) | st.text("v1.main_-A", max_size=60))
def test_no_text_is_a_token(text: str) -> None:
    found = check(text, KEYS, NOW, host="", path="")
    assert found.claims is None
    assert not found.good


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.booleans() | st.integers(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_nonsense_that_is_signed_is_nonsense(text: bytes) -> None:
    assert check(signed(text), KEYS, NOW, host="", path="") == Check(None, Fault.MALFORMED)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"host": "h"},
        {"exp": True},
        {"exp": 1.5},
        {"exp": "1"},
        {"exp": None},
        {"exp": 1, "host": 1},
        {"exp": 1, "path": None},
        {"exp": 1, "unknown": "x"},
    ],
    ids=json.dumps,
)
def test_claims_of_another_kind(values: dict[str, Any]) -> None:
    assert check(signed(json.dumps(values)), KEYS, NOW, host="", path="").fault is Fault.MALFORMED


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        (None, Fault.MISSING),
        ("", Fault.MISSING),
        ("x" * (MAX_TOKEN + 1), Fault.MALFORMED),
        ("v1.main.A." + "A" * 43, Fault.BAD_SIGNATURE),
        (make(Key("gone", b"g" * 32), Claims(2_000_000)), Fault.UNKNOWN_KEY),
        (make(Key("main", b"g" * 32), Claims(2_000_000)), Fault.BAD_SIGNATURE),
        ("[" * 1000, Fault.MALFORMED),
        (signed("[" * 1400), Fault.MALFORMED),
        (make(KEY, Claims(2_000_000)).replace("v1", "v2", 1), Fault.MALFORMED),
    ],
)
def test_faults(token: str | None, fault: Fault) -> None:
    assert check(token, KEYS, NOW, host="h", path="/p") == Check(None, fault)


@pytest.mark.parametrize(
    ("path", "asked", "good"),
    [
        ("/chat", "/chat", True),
        ("/chat", "/chat/1", False),
        ("/chat", "/chats", False),
        ("/chat/", "/chat/1", True),
        ("/chat/", "/chat", False),
        ("/chat/", "/chats/1", False),
        ("/", "/anything", True),
    ],
)
def test_bound_to_a_path(path: str, asked: str, good: bool) -> None:
    found = check(make(KEY, Claims(2_000_000, path=path)), KEYS, NOW, host="h", path=asked)
    assert found.fault == (None if good else Fault.OTHER_PATH)
    assert found.claims is not None


def test_bound_to_a_host() -> None:
    token = make(KEY, Claims(2_000_000, host="a.example"))
    assert check(token, KEYS, NOW, host="a.example", path="/").good
    assert check(token, KEYS, NOW, host="b.example", path="/").fault is Fault.OTHER_HOST


def test_not_for_longer_than_a_token_may_be() -> None:
    token = make(KEY, Claims(int(NOW) + 3600))
    assert check(token, KEYS, NOW, host="h", path="/", max_lifetime=3600).good
    assert check(token, KEYS, NOW, host="h", path="/", max_lifetime=3599).fault is Fault.TOO_LONG


def test_one_that_is_too_long_is_not_made() -> None:
    with pytest.raises(ValueError, match="longer"):
        make(KEY, Claims(1, nonce="x" * MAX_TOKEN))


def test_keys_are_strong_and_not_printed() -> None:
    assert "kkk" not in repr(KEY)
    with pytest.raises(ValueError, match="shorter than 32"):
        Key("main", b"k" * 31)
    for key_id in ("", "a.b", "a" * 33, "é", "a\n"):
        with pytest.raises(ValueError, match="key id"):
            Key(key_id, b"k" * 32)
