"""What is said about arguments of a wrong kind."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.arguments import (
    FOREVER,
    MOST,
    came,
    check,
    check_callable,
    check_flag,
    check_int,
    check_names,
    check_range,
    check_seconds,
    check_several,
    check_size,
    check_text,
    check_timeout,
)


async def work() -> None: ...


ANYTHING: list[Any] = [None, True, 7, 1.5, "secret", b"secret", ["secret"], {"secret": 1}, len, int, object()]
# What the check takes, of these.
CHECKS: dict[str, tuple[Callable[[object], None], Callable[[Any], bool]]] = {
    "check": (
        lambda v: check("x", v, (bytes, float), "bytes or a float"),
        lambda v: type(v) in (bytes, float),
    ),
    "flag": (lambda v: check_flag("x", v), lambda v: v is True),
    "text": (lambda v: check_text("x", v), lambda v: v is None or type(v) is str),
    "function": (lambda v: check_callable("x", v, optional=False), callable),
    "function or None": (lambda v: check_callable("x", v), lambda v: v is None or callable(v)),
    "int": (lambda v: check_int("x", v), lambda v: v == 7),
    "size": (lambda v: check_size("x", v, 0), lambda v: v == 7),
    "size or None": (lambda v: check_size("x", v, 0, none="no limit"), lambda v: v in (None, 7)),
    "range": (lambda v: check_range("x", v, 7, 7), lambda v: v == 7),
    "seconds": (lambda v: check_seconds("x", v), lambda v: v in (7, 1.5)),
    "seconds or None": (lambda v: check_seconds("x", v, none="no timer"), lambda v: v in (None, 7, 1.5)),
    "several": (lambda v: check_several("x", v, "several"), lambda v: type(v) in (list, dict)),
    "names": (lambda v: check_names("x", v), lambda v: type(v) in (list, dict)),
}


@pytest.mark.parametrize("name", CHECKS)
def test_each_kind_is_taken_or_named(name: str) -> None:
    test, taken = CHECKS[name]
    for value in ANYTHING:
        # True is a number for Python, and none for who reads it.
        if taken(value) and (type(value) is not bool or name == "flag"):
            test(value)
            continue
        with pytest.raises(TypeError) as caught:
            test(value)
        said = str(caught.value)
        assert said.startswith("x must be ")
        assert said.endswith(f", not {came(value)}")
        assert "secret" not in said


def test_what_came_is_said_in_words() -> None:
    coroutine = work()
    assert came(coroutine) == "a coroutine, which may lack an await"
    coroutine.close()
    assert [came(value) for value in (None, int, 5, "x")] == ["None", "the class int", "int", "str"]


@given(st.integers(), st.integers(-10, 10))
def test_sizes(value: int, least: int) -> None:
    if least <= value <= MOST:
        check_size("x", value, least)
        check_size("x", value, least, none="no limit")
    else:
        bound = f"{least} or more" if value < least else f"{sys.maxsize} or less"
        with pytest.raises(ValueError, match=rf"^x is {value}; it must be {bound}$"):
            check_size("x", value, least)
        with pytest.raises(ValueError, match=rf"^x is {value}; it must be {bound}, or None for no limit$"):
            check_size("x", value, least, none="no limit")


@given(st.integers(), st.integers(-20, 20), st.integers(-20, 20))
def test_ranges(value: int, least: int, most: int) -> None:
    if least <= value <= most:
        check_range("x", value, least, most)
    else:
        with pytest.raises(ValueError, match=rf"^x is {value}; it goes from {least} to {most}$"):
            check_range("x", value, least, most)


@given(st.integers() | st.floats(), st.booleans(), st.sampled_from(["", "no timer"]))
def test_times(value: float, positive: bool, none: str) -> None:
    if (value > 0 if positive else value >= 0) and value <= FOREVER:
        check_seconds("x", value, positive=positive, none=none)
        return
    with pytest.raises(ValueError, match=rf"^x is {value}; it must be".replace("+", r"\+")) as caught:
        check_seconds("x", value, positive=positive, none=none)
    said = str(caught.value)
    assert ("or None for no timer" in said) is bool(none)
    if FOREVER < value < math.inf:
        assert "1000000000 seconds or less" in said
    else:
        assert ("more than 0 seconds" if positive else "0 seconds or more") in said


def test_numbers_that_python_does_not_show() -> None:
    for test in (
        lambda v: check_size("x", v, 0),
        lambda v: check_range("x", v, 0, 9),
        lambda v: check_seconds("x", v),
    ):
        for value in (10**5000, -(10**5000)):
            with pytest.raises(ValueError, match=r"^x is a number of very many digits; it "):
                test(value)


@given(st.integers() | st.floats())
def test_a_call_may_wait_for_less_than_nothing(value: float) -> None:
    if value <= FOREVER:
        check_timeout(value)
    else:
        with pytest.raises(ValueError, match=r"^timeout is .*; it must be .*, or None for no limit$"):
            check_timeout(value)


def test_timeouts_of_another_kind() -> None:
    check_timeout(None)
    for value in ("1", b"", [], True):
        with pytest.raises(
            TypeError, match=rf"^timeout must be a number of seconds or None, not {came(value)}$"
        ):
            check_timeout(value)


@pytest.mark.parametrize("values", [["a"], ("a",), {"a"}, {"a": 1}.keys(), []])
def test_lists_of_str(values: Any) -> None:
    check_names("x", values)
    check_names("x", [*values, None], none=True)
    for wrong, said in ((None, "None"), (1, "int"), (b"a", "bytes")):
        with pytest.raises(TypeError, match=rf"^x must be a list of str, and one of them is {said}$"):
            check_names("x", [*values, wrong])


def test_what_is_gone_after_one_look_is_no_list() -> None:
    with pytest.raises(TypeError, match=r"^x must be a list of str, not generator$"):
        check_names("x", (name for name in "ab"))
