"""edgews beside wsproto, websockets, aiohttp and picows, in one run: `python -m bench.compare`."""
