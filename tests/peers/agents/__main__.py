"""Run one party: `python -m tests.peers.agents NAME FOLDER_OF_CERTIFICATES`."""

from __future__ import annotations

import importlib
import sys

AGENTS = {
    "edgews.asyncio": "ours:OnAsyncio",
    "edgews.asyncio-uvloop": "ours:OnUvloop",
    "edgews.trio": "ours:OnTrio",
    "edgews.sync": "ours:OnThreads",
    "websockets.asyncio": "websockets:OnAsyncio",
    "websockets.sync": "websockets:OnThreads",
    "aiohttp": "aiohttp:Aiohttp",
    "hypercorn": "hypercorn:Hypercorn",
    "trio-websocket": "trio_websocket:TrioWebsocket",
    "wsproto": "wsproto:Wsproto",
    "chromium": "chromium:Chromium",
}

if __name__ == "__main__":
    _, name, certificates = sys.argv
    module, _, kind = AGENTS[name].partition(":")
    getattr(importlib.import_module(f"tests.peers.agents.{module}"), kind)(certificates).main()
