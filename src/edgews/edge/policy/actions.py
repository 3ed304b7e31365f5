"""Rules as values: what a rule looks at, what it asks, and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from edgews.frames import MAX_REASON, may_be_sent


class Stage(Enum):
    """What a rule looks at."""

    UPGRADE = "upgrade"
    MESSAGE = "message"


class Sender(Enum):
    """Who has sent a message."""

    CLIENT = "client"
    ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class Block:
    """Answer with this status and this body."""

    status: int = 403
    body: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """Write it down and go on."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Let it pass by the rules that follow."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Count it with the limiter of this name; one message too many ends the connection with this Close."""

    limiter: str
    code: int = 1008
    reason: str = "too many messages"


@dataclass(frozen=True, slots=True)
class RequireToken:
    """Look for a token that was signed with a key of the set of this name."""

    keys: str = "default"


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget the message."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection."""

    code: int = 1008
    reason: str = ""


Action: TypeAlias = "Block | Log | Skip | RateLimit | RequireToken | Drop | Close"
Refusal: TypeAlias = "Block | Drop | Close"

# By the words of a configuration.
ACTIONS: dict[str, type[Action]] = {
    "block": Block,
    "close": Close,
    "drop": Drop,
    "log": Log,
    "rate_limit": RateLimit,
    "require_token": RequireToken,
    "skip": Skip,
}
_WORDS = {action: word for word, action in ACTIONS.items()}
_STAGES: dict[Stage, tuple[type[Action], ...]] = {
    Stage.UPGRADE: (Block, Log, RateLimit, RequireToken, Skip),
    Stage.MESSAGE: (Close, Drop, Log, RateLimit, Skip),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression and what to do where it is true. `name` is what explanations call it.

    Of messages it judges those of its `senders`.

    Raises:
        ValueError: the action is none of the stage, or no answer that may be given.
    """

    name: str
    expression: str
    action: Action
    stage: Stage = Stage.UPGRADE
    senders: tuple[Sender, ...] = (Sender.CLIENT,)

    def __post_init__(self) -> None:
        if not isinstance(self.action, _STAGES[self.stage]):
            raise ValueError(f"{self.word} is no action for the stage {self.stage.value}")
        match self.action:
            case Block(status) if not 400 <= status <= 599:
                raise ValueError(f"block answers with a status from 400 to 599, not {status}")
            case Close(code, _) | RateLimit(_, code, _) if not may_be_sent(code):
                raise ValueError(f"close code {code} may not be sent")
            case Close(_, reason) | RateLimit(_, _, reason) if len(reason.encode()) > MAX_REASON:
                raise ValueError(f"the reason of a Close is at most {MAX_REASON} bytes long")
            case _:
                pass

    @property
    def word(self) -> str:
        """The action in the words of a configuration."""
        return _WORDS[type(self.action)]
