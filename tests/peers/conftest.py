"""Processes of all parties, each started when a test first needs it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.peers.agents.agent import HOST
from tests.peers.matrix import OURS, Pairing
from tests.peers.meeting import Meeting
from tests.peers.party import Party

Parties = Callable[[str], Party]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    """Return the process of a party by its name; at the end each has to end well."""
    folder: Path = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    running: dict[str, Party] = {}

    def party(name: str) -> Party:
        if name not in running:
            running[name] = Party(name, folder)
        return running[name]

    yield party
    outcomes = {name: party.end() for name, party in running.items()}
    assert {name: outcome for name, outcome in outcomes.items() if name in OURS and outcome != (0, "")} == {}


@pytest.fixture
def meeting(request: pytest.FixtureRequest, parties: Parties) -> Meeting:
    """What a scenario is about: one connection of ours with a peer, or one that is still to be opened."""
    pairing: Pairing = request.param
    return Meeting(pairing, parties(pairing.ours), parties(pairing.peer.name), next(_numbers))
