"""The line of every key, with a document that is built line by line as oracle."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.config.positions import line_of

DOCUMENT = '''\
# a comment with [brackets] = and "quotes
top = "a = [ \\\\" # not a = comment"

lines = """
[not.a.table]
key = "value" """
"quoted = key" = 1
'literal.key' = '[x'
array = [
  "a", # ]
  { b = 1 },
]
dotted.deep.key = 3
[[listen]]
address = "x"
[listen.sub]
inner = 1

[[listen]]
  address = "y"
[ plain . table ]
value = [[1, 2], [3]]
[[listen.nested]]
n = 1
[[listen.nested]]
n = 2
raw = \'\'\'
]]]
\'\'\'
last = true'''

LINES = {
    ("top",): 2,
    ("lines",): 4,
    ("quoted = key",): 7,
    ("literal.key",): 8,
    ("array",): 9,
    ("array", 0): 9,
    ("array", 1, "b"): 9,
    ("dotted", "deep", "key"): 13,
    ("listen", 0): 14,
    ("listen", 0, "address"): 15,
    ("listen", 0, "sub"): 16,
    ("listen", 0, "sub", "inner"): 17,
    ("listen", 1): 19,
    ("listen", 1, "address"): 20,
    ("plain", "table"): 21,
    ("plain", "table", "value"): 22,
    ("listen", 1, "nested", 0, "n"): 24,
    ("listen", 1, "nested", 1, "n"): 26,
    ("listen", 1, "nested", 1, "raw"): 27,
    ("listen", 1, "nested", 1, "last"): 30,
    # What is missing has the line of its table.
    ("listen", 1, "nested", 1, "missing"): 25,
    ("listen", 0, "missing"): 14,
    ("missing",): 1,
}


@pytest.mark.parametrize(("path", "line"), LINES.items())
def test_where_a_key_stands(path, line):
    tomllib.loads(DOCUMENT)
    assert line_of(DOCUMENT, path) == line


values = st.sampled_from(
    [
        "1",
        '"a = [ #"',
        "'it \"is'",
        "[1, [2]]",
        '{ a = "]" }',
        "[\n  1, # [\n]",
        '"""\n[x]\n"""',
        "'''\na = 1\n'''",
    ]
)
tables = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.lists(values, max_size=4)), max_size=5)


@given(tables)
def test_any_document(tables):
    lines: list[str] = []
    expected = {}
    counts = {"a": -1, "b": -1}
    for name, keys in tables:
        counts[name] += 1
        lines += ["# [[a]]", f"[[{name}]] # = ["]
        expected[(name, counts[name])] = len(lines)
        for number, value in enumerate(keys):
            lines += ["", f"key{number} = {value}"]
            expected[(name, counts[name], f"key{number}")] = len("\n".join(lines).split("\n")) - value.count(
                "\n"
            )
        lines = "\n".join(lines).split("\n")
    document = "\n".join(lines)
    tomllib.loads(document)
    assert {path: line_of(document, path) for path in expected} == expected
