"""Fuzzing, for as long as you like: `python -m fuzz --seconds 30`.

The invariant, in one sentence: whatever bytes arrive, in whatever pieces, the engine raises nothing, and
after the end of the stream it has given Disconnected exactly once, as its last event.

Beside it, each input is fed once whole and once in pieces, and has to lead to the same events.

With atheris installed it guides the search by coverage; elsewhere a loop of our own mutates the seeds, and
keeps what led to behaviour that was not seen before.
"""
