"""What a WebSocket endpoint must do, as a table: one row for each case, run against the engine in memory.

`rows` has the words that the table is written in, `runner` plays one row, and the other modules are the
table, one for each group of cases.
"""
