"""What ten firewall rules cost on an upgrade: `python -m bench.edge_rules`.

The request has the fields that Firefox sends. Rounds of all rows are made in turn; the table gives
medians of processor time, and their share of the goal of 0.15 ms.
"""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable
from dataclasses import replace

from edgews.edge.forwarding.entrance import Entrance
from edgews.edge.forwarding.headers import Identity, Peer
from edgews.edge.policy.actions import Block, Drop, Log, RateLimit, Rule, Skip, Stage
from edgews.edge.policy.cel import Expression, Scope
from edgews.edge.policy.conngauge import ConnectionLimit
from edgews.edge.policy.connlimit import Kind
from edgews.edge.policy.expressions import functions
from edgews.edge.policy.fields import MessageFacts, UpgradeFacts
from edgews.edge.policy.lists import NetworkList, Networks, TextList
from edgews.edge.policy.normalize import normalize
from edgews.edge.policy.policies import Definition, Limiter, Policies, Verdict
from edgews.edge.policy.ratelimit import RateLimit as Rate
from edgews.edge.policy.rules import Ruleset
from edgews.events import Request
from edgews.headers import Headers

ROUNDS = 31
NUMBER = 200
# Seconds for ten rules on an upgrade.
GOAL = 150e-6

HEADERS = Headers(
    [
        ("Host", "chat.example.com"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("Accept", "*/*"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "https://chat.example.com"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Connection", "keep-alive, Upgrade"),
        ("Cookie", "session=0123456789abcdef; theme=dark; consent=yes"),
        ("Sec-Fetch-Dest", "empty"),
        ("Sec-Fetch-Mode", "websocket"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Pragma", "no-cache"),
        ("Cache-Control", "no-cache"),
        ("Upgrade", "websocket"),
    ]
)
REQUEST = UpgradeFacts(
    "GET", normalize("/rooms/42?token=abc"), HEADERS, "203.0.113.7", True, "ray", "DE", 64496
)
RAW = Request("GET", "/rooms/42?token=abc", HEADERS)
MESSAGE = MessageFacts('{"type": "say", "text": "hello"}', 32, 7, 12.5)
LISTS = {
    "office": NetworkList(Networks(f"10.{a}.{b}.0/24" for a in range(40) for b in range(250))),
    "hosts": TextList(frozenset(f"{number}.example.com" for number in range(10_000))),
}

# None of them ends the walk.
MIXED = (
    ('http.host == "admin.example.com"', Block()),
    ('http.request.uri.path.startsWith("/admin")', Block()),
    ('http.user_agent.matches("(?i)curl|wget|sqlmap")', Block()),
    ("ip.src in $office", Skip()),
    ('cidr(ip.src, "192.0.2.0/24", "198.51.100.0/24")', Block()),
    ("http.host in $hosts", Log()),
    ('ip.src.country in ["AQ", "KP"]', Block()),
    ('!http.origin.endsWith("example.com") || http.request.method != "GET"', Block()),
    ('http.request.uri.args.values("token").exists(t, t == "")', Block()),
    ('http.request.uri.path.matches("^/rooms/[0-9]+$")', RateLimit("rooms")),
)
MAPS = (
    ("has(http.request.headers.attack)", Block()),
    ('"x-scanner" in http.request.headers', Block()),
    ('http.request.headers.values("x-api-key").exists(key, key == "stolen")', Block()),
    ('http.request.cookies.values("theme").exists(t, t.contains("<"))', Block()),
)
WHOLE = (("http.request.headers.exists(name, name.startsWith('x-attack'))", Block()),)
OF_MESSAGES = (
    ("message.size > 65536", Drop()),
    ('message.text.contains("<script")', Drop()),
    ('message.text.matches("(?i)drop +table")', Drop()),
    ("connection.messages > 100000 && connection.age < 10.0", Drop()),
)


def upgrade(*rules: tuple[str, Block | Log | Skip | RateLimit]) -> Callable[[], object]:
    ruleset = Ruleset([Rule(expression, expression, action) for expression, action in rules], LISTS)
    outcome = ruleset.judge(REQUEST)
    assert (len(outcome.evaluations), outcome.errors, outcome.refusal) == (len(rules), [], None)
    return lambda: ruleset.judge(REQUEST)


def wired(*rules: tuple[str, Block | Log | Skip | RateLimit]) -> Callable[[], object]:
    """Do all that the gateway does from the request that was read to the word that lets it in."""
    ruleset = Ruleset([Rule(expression, expression, action) for expression, action in rules], LISTS)
    plenty = Limiter(("ip.src",), Rate(1_000_000_000, 1.0))
    limits = dict.fromkeys(Kind, ConnectionLimit(100))
    policies = Policies(
        Definition(rules=ruleset if rules else None, limiters={"rooms": plenty}, connections=limits)
    )
    entrance = Entrance(Identity())
    peer = Peer("203.0.113.7", True, "ray")

    def ask() -> Verdict:
        entry = entrance.look(RAW, peer)
        facts = replace(entry.facts, country="DE", asn=64496)
        verdict = policies.admit(1, facts, route="rooms", token=entry.token, now=0.0, wall=0.0)
        policies.release(1, 0.0)
        return verdict

    assert ask().failure is None
    return ask


def message() -> Callable[[], object]:
    rules = [Rule(expression, expression, action, Stage.MESSAGE) for expression, action in OF_MESSAGES]
    judge = Ruleset(rules).for_messages(REQUEST).judge
    assert judge(MESSAGE).refusal is None
    return lambda: judge(MESSAGE)


def pattern(method: str) -> Callable[[], object]:
    """Match as rules do, or as the evaluator would by itself."""
    scope = Scope(functions(LISTS))
    scope.set("agent", HEADERS.get("User-Agent"))
    expression = Expression(f'agent.{method}("(?i)curl|wget")')
    assert expression.evaluate(scope) is False
    return lambda: expression.evaluate(scope)


ROWS = {
    "no rule": upgrade(),
    "ten rules": upgrade(*MIXED),
    "ten rules, four of them on header fields and cookies": upgrade(*MIXED[:6], *MAPS),
    "ten rules, one of them on the names of all header fields": upgrade(*MIXED[:9], *WHOLE),
    "ten times the same comparison": upgrade(*MIXED[:1] * 10),
    "a request let in, without rules": wired(),
    "a request let in, by ten rules": wired(*MIXED),
    "four rules on a message of 32 B": message(),
    "one pattern": pattern("re2find"),
    "one pattern, by the evaluator itself": pattern("matches"),
}


def main() -> None:
    print(f"{'':58}{'median':>10}   of the goal")
    timers = {title: timeit.Timer(work, timer=time.process_time) for title, work in ROWS.items()}
    rounds = [
        {title: timer.timeit(NUMBER) / NUMBER for title, timer in timers.items()} for _ in range(ROUNDS)
    ]
    for title in ROWS:
        median = statistics.median(each[title] for each in rounds)
        print(f"{title:58}{median * 1e6:7.1f} us{median / GOAL:10.1%}")


if __name__ == "__main__":
    main()
