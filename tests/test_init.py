from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from importlib.metadata import version
from pathlib import Path

import pytest

import edgews
from edgews import errors, events

PUBLIC = {name: getattr(edgews, name) for name in edgews.__all__}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}


def test_the_version_is_that_of_the_package():
    assert edgews.__version__ == version("edgews")


def test_all_is_sorted_and_complete():
    def order(name: str) -> tuple[int, str]:
        """Constants first, then classes, then functions."""
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert edgews.__all__ == sorted(set(edgews.__all__), key=order)
    tree = ast.parse(Path(edgews.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert set(edgews.__all__) == imported


def test_every_error_and_event_is_exported():
    defined = {
        name
        for module in (errors, events)
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }
    assert {"EdgewsError", "Disconnected"} <= defined
    assert defined | {"Event"} <= set(edgews.__all__)


def test_star_import_gives_what_all_says():
    namespace: dict[str, object] = {}
    exec("from edgews import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(edgews.__all__)


def is_method(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod)


def members(kind: type) -> dict[str, object]:
    """Return the public methods and properties of a class of ours, inherited ones of ours as well."""
    return {
        name: value
        for base in kind.__mro__
        if base.__module__.startswith("edgews")
        for name, value in vars(base).items()
        if not name.startswith("_") and is_method(value)
    }


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"BACKEND", "Event"}))
def test_everything_public_has_a_docstring(name):
    value = PUBLIC[name]
    doc = inspect.getdoc(value)
    assert doc
    # Not what dataclasses and enumerations write by themselves.
    assert not doc.startswith(f"{name}(")
    assert value.__module__.startswith("edgews.")
    assert doc.splitlines()[0].endswith(".")
    found = members(value) if name in CLASSES else {}
    assert [member for member, method in found.items() if not inspect.getdoc(method)] == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_public_methods_are_typed(name):
    for method, function in members(CLASSES[name]).items():
        if inspect.isfunction(function):
            parameters = set(inspect.signature(function).parameters) - {"self"}
            assert set(inspect.get_annotations(function)) >= parameters | {"return"}, method


def test_the_package_says_that_it_is_typed():
    assert (Path(edgews.__file__).parent / "py.typed").exists()


def test_public_values_resolve_their_annotations():
    # Documentation tools and frameworks that read annotations at run time need the names to be there.
    for name, kind in CLASSES.items():
        if dataclasses.is_dataclass(kind):
            names = {field.name for field in dataclasses.fields(kind)}
            assert set(typing.get_type_hints(kind)) >= names, name
