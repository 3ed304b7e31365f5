"""What is said about arguments of a wrong kind: their name, what they must be, and what came.

What is in them is shown only where it is a number: anything else may be a secret.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable
from types import CoroutineType
from typing import Final

# No size can be more, and no time that is meant to pass: thirty years, in seconds.
MOST: Final = sys.maxsize
FOREVER: Final = 1e9

# No longer number is shown.
_LONG: Final = 10**100


def came(value: object) -> str:
    """Say what an argument is, without what is in it."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, CoroutineType):
        return "a coroutine, which may lack an await"
    return type(value).__name__


def wrong(name: str, expected: str, value: object) -> TypeError:
    """Return the error for an argument of a wrong kind."""
    return TypeError(f"{name} must be {expected}, not {came(value)}")


def check(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Make sure that an argument is of a kind.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kinds):
        raise wrong(name, expected, value)


def check_flag(name: str, value: object) -> None:
    """Make sure that an argument is True or False.

    Raises:
        TypeError: it is not.
    """
    check(name, value, bool, "True or False")


def check_text(name: str, value: object) -> None:
    """Make sure that an argument is a `str` or None.

    Raises:
        TypeError: it is not.
    """
    if value is not None:
        check(name, value, str, "a str or None")


def check_callable(name: str, value: object, *, optional: bool = True) -> None:
    """Make sure that an argument can be called, or is None where it may be.

    Raises:
        TypeError: it is not.
    """
    if not callable(value) and not (optional and value is None):
        raise wrong(name, "a function or None" if optional else "a function", value)


def check_int(name: str, value: object, expected: str = "an int") -> None:
    """Make sure that an argument is an `int`, and none that is meant to be True or False.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(name, expected, value)


def check_size(name: str, value: object, least: int, none: str = "") -> None:
    """Make sure that an argument is a whole number.

    Args:
        none: what None stands for, where it may be that.

    Raises:
        TypeError: it is none.
        ValueError: it is less than `least`, or beyond what a size can be.
    """
    if value is None and none:
        return
    check_int(name, value, "an int or None" if none else "an int")
    assert isinstance(value, int)
    if not least <= value <= MOST:
        bound = f"{least} or more" if value < least else f"{MOST} or less"
        raise ValueError(f"{name} is {_number(value)}; it must be {bound}{_instead(none)}")


def check_range(name: str, value: object, least: int, most: int) -> None:
    """Make sure that an argument is a whole number in a range.

    Raises:
        TypeError: it is none.
        ValueError: it is not in the range.
    """
    check_int(name, value)
    assert isinstance(value, int)
    if not least <= value <= most:
        raise ValueError(f"{name} is {_number(value)}; it goes from {least} to {most}")


def check_seconds(name: str, value: object, *, positive: bool = False, none: str = "") -> None:
    """Make sure that an argument is a time: 0 or more, or more than 0, and finite.

    Args:
        none: what None stands for, where it may be that.

    Raises:
        TypeError: it is none.
        ValueError: it is no time.
    """
    if value is None and none:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise wrong(name, "a number of seconds or None" if none else "a number of seconds", value)
    if FOREVER < value < math.inf:
        raise ValueError(
            f"{name} is {_number(value)}; it must be {FOREVER:.0f} seconds or less{_instead(none)}"
        )
    # NaN compares as False.
    if not (value > 0 if positive else value >= 0) or value == math.inf:
        bound = "more than 0 seconds" if positive else "0 seconds or more"
        raise ValueError(f"{name} is {_number(value)}; it must be {bound}{_instead(none) or ', and finite'}")


def check_timeout(timeout: object) -> None:
    """Make sure that a call can wait for so long; None is for as long as it takes, and what is over is 0.

    Raises:
        TypeError: it is no number.
        ValueError: it is no finite number.
    """
    if timeout is not None:
        check("timeout", timeout, (int, float), "a number of seconds or None")
        assert isinstance(timeout, (int, float))
        check_seconds("timeout", max(timeout, 0) if timeout == timeout else timeout, none="no limit")


def check_several(name: str, values: object, expected: str) -> None:
    """Make sure that an argument can be gone through, and is not one text.

    Raises:
        TypeError: it cannot, or it is.
    """
    if isinstance(values, (str, bytes, bytearray)) or not isinstance(values, Iterable):
        raise wrong(name, expected, values)


def check_names(name: str, values: object, *, none: bool = False) -> None:
    """Make sure that an argument is a list of `str`, or of something that can be gone through as often.

    Args:
        none: None may be among them.

    Raises:
        TypeError: it is not.
    """
    check_several(name, values, "a list of str")
    check(name, values, Collection, "a list of str")
    assert isinstance(values, Collection)
    for value in values:
        if not isinstance(value, str) and not (none and value is None):
            raise TypeError(f"{name} must be a list of str, and one of them is {came(value)}")


def _instead(none: str) -> str:
    return f", or None for {none}" if none else ""


def _number(value: float) -> str:
    """Return a number as it is shown; Python does not show one of more than a few thousand digits."""
    return str(value) if not isinstance(value, int) or abs(value) < _LONG else "a number of very many digits"
