"""What `edgews.toml` may say, and what is said about one that may not be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.config.faults import ConfigError, Fault
from edgews.edge.config.file import load_config, parse_config
from edgews.edge.config.tables import Config, Route

# As they stand in a file.
KEYS = [field.alias or name for name, field in Config.model_fields.items()]
GOOD = """\
access_log = "off"
drain_time = 3

[[listen]]
address = "127.0.0.1:8080"

[[listen]]
address = "[::1]:8443"
certificate = "cert.pem"
key = "key.pem"

[[route]]
host = "Example.com"
path = "/chat"
origins = ["ws://127.0.0.1:9000", "unix:/run/chat.sock"]
max_message_size = 65536
idle_timeout = 60
ping_interval = "off"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "x.toml")
    assert str(caught.value).splitlines() == caught.value.lines()
    return caught.value.lines()


def test_a_good_file():
    config = parse_config(GOOD)
    assert config.listen[1].certificate == "cert.pem"
    assert config.drain_time == 3.0
    assert parse_config('header_prefix = "X-My-"\n' + GOOD).header_prefix == "X-My-"


def test_all_faults_are_named_at_once_with_line_key_and_what_was_expected():
    assert faults(
        """\
drain_time = -1
unknown = 1
[[listen]]
address = "nowhere"
[[route]]
origins = ["ws://127.0.0.1:9000",
  "http://127.0.0.1"]
host = "exa mple"
path = "chat"
max_message_size = "big"
ping_interval = 0
colour = "red"
[[route]]
name = 7
"""
    ) == [
        "x.toml:1: drain_time: expected 0 or more",
        f"x.toml:2: unknown: no such key here; known are {', '.join(KEYS)}",
        "x.toml:4: listen[0].address: expected host:port, [IPv6]:port or unix:/path",
        "x.toml:6: route[0].origins[1]: expected ws://host:port, wss://host:port or unix:/path",
        "x.toml:8: route[0].host: expected a host name such as example.com, or *.example.com",
        "x.toml:9: route[0].path: expected a path such as /chat, without escapes, queries and empty segments",
        "x.toml:10: route[0].max_message_size: expected a whole number",
        "x.toml:11: route[0].ping_interval: expected more than 0",
        f"x.toml:12: route[0].colour: no such key here; known are {', '.join(Route.model_fields)}",
        "x.toml:13: route[1].origins: this key is missing",
        "x.toml:14: route[1].name: expected a string",
    ]


def test_contradictions():
    assert faults(
        GOOD
        + """
[[listen]]
address = "127.0.0.1:8080"
key = "secret.pem"
[[listen]]
address = ":80"
certificate = "c"
[[route]]
host = "example.com"
path = "/chat/"
origins = ["ws://a"]
max_frame_size = 2097152
"""
    ) == [
        "x.toml:21: listen[2].address: each address once",
        "x.toml:22: listen[2].key: certificate beside it: TLS needs both",
        "x.toml:25: listen[3].certificate: key beside it: TLS needs both",
        "x.toml:26: route[1]: another host, path, headers or when: an earlier route has the same",
        "x.toml:30: route[1].max_frame_size: at most max_message_size",
    ]


def test_what_is_known_of_a_route_goes_by_its_name():
    text = GOOD
    for host, rest in (
        ("a.example", ""),
        ("b.example", 'name = "a.example/"\n'),
        ("a.example", 'headers = { X = "1" }\n'),
    ):
        text += f'[[route]]\nhost = "{host}"\norigins = ["ws://a"]\n{rest}'
    begin = GOOD.count("\n") + 1
    assert faults(text) == [
        f"x.toml:{begin + 6}: route[2].name: another name: an earlier route is called 'a.example/' as well",
        f"x.toml:{begin + 7}: route[3]: a name: an earlier route is called 'a.example/' as well",
    ]
    parse_config(text.replace("headers", 'name = "c"\nheaders').replace("a.example/", "b"), "x.toml")


def test_tables_that_do_not_fit_together():
    admin = '[admin]\naddress = "0.0.0.0:9901"\n'
    assert [fault.partition(": ")[2].partition(":")[0] for fault in faults(GOOD + admin)] == ["admin.address"]
    few = "max_connections = 3\n" + GOOD + "[connections.all]\nsoft = 3\nburst = 1\n"
    assert faults(few) == ["x.toml:1: max_connections: 4 or more: connections lets so many in"]


def test_what_nothing_would_come_of_is_a_fault():
    text = """
[[listen]]
address = ":81"
proxy_protocol = ["10.0.0.0/8", "unix"]
[[listen]]
address = "unix:/run/x"
proxy_protocol = ["unix",
  "10.0.0.0/8"]
[[route]]
path = "/unused"
origins = ["ws://a"]
ca = "ca.pem"
http = false
max_body_size = 1
[route.health]
path = "/well"
"""
    at = GOOD.count("\n")
    assert faults(GOOD + text) == [
        f"x.toml:{at + 4}: listen[2].proxy_protocol[1]: a network, for this is no Unix socket",
        f'x.toml:{at + 7}: listen[3].proxy_protocol[1]: "unix", for this is a Unix socket',
        f"x.toml:{at + 12}: route[1].ca: no such key without an origin of wss://",
        f"x.toml:{at + 14}: route[1].max_body_size: no such key where http is false",
        f'x.toml:{at + 16}: route[1].health.path: no such key where kind is "tcp": it asks for nothing',
    ]


def test_what_is_of_use_is_none():
    text = """
[[route]]
path = "/used"
origins = ["ws://a", "wss://b"]
ca = "ca.pem"
max_body_size = 1
[route.health]
kind = "http"
path = "/well"
[[route]]
path = "/open"
origins = ["ws://a"]
http = false
[route.health]
rise = 1
"""
    assert parse_config(GOOD + text).route[1].ca == "ca.pem"


def test_a_route_cannot_pass_what_rules_have_to_see():
    text = """
[[route]]
name = "raw"
path = "/raw"
origins = ["ws://a"]
inspect = "frames"
compression = "off"
message_limiter = "none"
[[rule]]
name = "no long ones"
expression = "message.size > 9"
action = "drop"
on = "message"
"""
    at = GOOD.count("\n")
    assert faults(GOOD + text) == [
        f"x.toml:{at + 6}: route[1].inspect: auto or messages on the route 'raw': "
        "the rule 'no long ones' looks at messages",
        f"x.toml:{at + 7}: route[1].compression: no such key where frames pass as they came",
        f"x.toml:{at + 8}: route[1].message_limiter: the name of a limiter, and there is none",
    ]


def test_a_route_whose_frames_pass_beside_rules_for_upgrades():
    text = """
[[route]]
path = "/raw"
origins = ["ws://a"]
inspect = "frames"
[[rule]]
name = "only with TLS"
expression = "!ssl"
action = "block"
"""
    config = parse_config(GOOD + text, "x.toml")
    assert [config.inspects(route) for route in config.route] == [False, False]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "x.toml:1: listen: this key is missing"),
        ("route = 1\nlisten = []", "x.toml:1: route: expected tables, each below a [[route]]"),
        ("listen = [1]\nroute=[]", "x.toml:1: listen[0]: expected a table"),
        (
            "header_prefix = 'X Y-'",
            "x.toml:1: header_prefix: expected the beginning of a header name, with a hyphen",
        ),
        (
            "header_prefix = 'X'",
            "x.toml:1: header_prefix: expected the beginning of a header name, with a hyphen",
        ),
        ("loop = 'trio'", "x.toml:1: loop: expected one of 'auto', 'asyncio' or 'uvloop'"),
        ("max_connections = 1.5", "x.toml:1: max_connections: expected a whole number"),
        ("max_header_size = 99999999999999", "x.toml:1: max_header_size: expected at most"),
        ('access_log = ""', 'x.toml:1: access_log: expected a file, "-" for the standard output, or "off"'),
        ('[[route]]\npath = "/a/*"', "x.toml:2: route[0].path: expected a path without * at its end"),
        ("open_timeout = inf", "x.toml:1: open_timeout: expected less than"),
        ("open_timeout = nan", "x.toml:1: open_timeout: expected "),
    ],
)
def test_one_fault(text, line):
    assert any(found.startswith(line) for found in faults(text)), faults(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = \n", 2), ("a = 1\na = 2", 2), ('a = """\n\n', 3), ("[a\n", 1)],
)
def test_what_is_no_toml(text, line):
    (found,) = faults(text)
    assert found.startswith(f"x.toml:{line}: TOML: ")
    assert "(at" not in found


lines = st.lists(st.sampled_from([*GOOD.splitlines(), "x", "[", '"', "= 1"]), max_size=12).map("\n".join)


@given(st.text(max_size=200) | lines)
def test_any_text_is_a_configuration_or_an_error_without_its_values(text):
    text = text.replace("127.0.0.1:9000", "secret")
    failure: ConfigError | None = None
    try:
        parse_config(text)
    except ConfigError as error:
        failure = error
    if failure is not None:
        assert failure.faults
        assert "secret" not in str(failure)


def test_files(tmp_path):
    good = tmp_path / "good.toml"
    good.write_text(GOOD)
    assert load_config(good) == parse_config(GOOD, str(good))
    assert load_config(good).file == str(good)
    assert load_config(good).fault(("listen", 1, "key"), "x") == Fault(10, "listen[1].key", "x")
    marked = tmp_path / "marked.toml"
    marked.write_text(GOOD, "utf-8-sig")
    assert load_config(marked) == parse_config(GOOD, str(marked))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"a = 1\nb = '\xe4'")
    with pytest.raises(ConfigError, match=r"latin.toml:2: TOML is written in UTF-8"):
        load_config(latin)
    with pytest.raises(ConfigError, match=r"none.toml: cannot be read: No such file"):
        load_config(tmp_path / "none.toml")


def test_the_hard_limit_has_room_for_what_connections_allows():
    text = GOOD + "[connections.all]\nsoft = 9999\nburst = 2\n"
    assert faults(text) == ["x.toml:1: max_connections: 10001 or more: connections lets so many in"]
