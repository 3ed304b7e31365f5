"""The picture of the states shows the table, all of it and nothing else."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

from edgews.states import TRANSITIONS

SOURCE = Path(__file__).parents[2] / "docs/_ext/state_diagram.py"


@pytest.fixture(scope="module")
def diagram() -> ModuleType:
    spec = importlib.util.spec_from_file_location("state_diagram", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for it there.
    import sys

    sys.modules["state_diagram"] = module
    spec.loader.exec_module(module)
    return module


def transitions(diagram: ModuleType) -> set[str]:
    return {
        f"{diagram.name(source)}: {step.value}: {diagram.name(target)}"
        for source, row in TRANSITIONS.items()
        for step, target in row.items()
    }


def test_each_transition_is_an_arrow(diagram: ModuleType) -> None:
    picture = ET.fromstring(diagram.draw())
    titles = [title.text for title in picture.iter("title")]
    assert len(titles) == len(set(titles))
    assert set(titles) == transitions(diagram)


def test_each_arrow_says_what_moves_it(diagram: ModuleType) -> None:
    for group in ET.fromstring(diagram.draw()).iter("g"):
        steps = [str(title.text).split(": ")[1] for title in group.iter("title")]
        assert [text.text for text in group.iter("text")] == steps


def test_each_state_is_a_box(diagram: ModuleType) -> None:
    picture = ET.fromstring(diagram.draw())
    names = [span.text for span in picture.iter("tspan")]
    assert sorted(map(str, names)) == sorted(map(diagram.name, TRANSITIONS))
    assert len(list(picture.iter("rect"))) == len(TRANSITIONS)


def test_no_two_boxes_are_in_one_place(diagram: ModuleType) -> None:
    assert set(diagram.PLACES) == set(TRANSITIONS)
    assert len(set(diagram.PLACES.values())) == len(TRANSITIONS)


def test_the_table_has_each_transition(diagram: ModuleType) -> None:
    found = {
        f"{state}: {step}: {target}"
        for state, moves in re.findall(r"^\| `(\w+)` \|.* \| ([^|]*) \|$", diagram.table(), re.M)
        for step, target in re.findall(r"([^;]+?): `(\w+)`", moves)
    }
    assert {re.sub(": +", ": ", line) for line in found} == transitions(diagram)
