"""The live sessions of this process, by call; refuses a socket that is not the call's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from studio_relay.dispatch import Conversation
from studio_relay.protocol.messages import Setup


@dataclass(eq=False, kw_only=True)
class Live:
    """A socket that is served, and its setup once it came. `drop` closes it from our side.

    `over` is true once it is closed or being closed, while its session is still being wound up. What others do to the
    session runs in its `context`, so that what is logged of it has its ids.
    """

    conversation: Conversation
    drop: Callable[[str], None]
    setup: Setup | None = None
    over: bool = False
    context: Context = field(default_factory=copy_context)


@dataclass(kw_only=True)
class Registry:
    """Every socket that is served now. `account_sid` is ours, where it is known."""

    account_sid: str | None = None
    _live: dict[int, Live] = field(default_factory=dict)
    _calls: dict[str, Live] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._live.values()))

    def add(self, live: Live) -> None:
        """A socket was accepted."""
        self._live[id(live)] = live

    def remove(self, live: Live) -> None:
        """Its session is over."""
        self._live.pop(id(live), None)
        if live.setup is not None and self._calls.get(live.setup.call_sid) is live:
            del self._calls[live.setup.call_sid]

    def admit(self, live: Live, setup: Setup, *, proven: bool = False) -> str | None:
        """Bind a socket to its call. Returns why it must be refused, or None.

        A second socket for a live call wins only if it is of the same people, and the first is dead or of the same
        session (design.md, section 9); the first is dropped then, and the second goes on from where it was. A socket
        that is `proven` to be the call's, by a ticket of its own, shows that the first is dead: Twilio asks for TwiML
        again when a session is over, and another server may have been told so.
        """
        if self.account_sid is not None and setup.account_sid != self.account_sid:
            return "the setup names another account than TWILIO_ACCOUNT_SID"
        other = self._calls.get(setup.call_sid)
        if other is not None and other.setup is not None:
            if not _may_follow(other, other.setup, setup, proven=proven):
                return "another live session has this call already, and this one does not agree with it"
            live.conversation.follow(other.conversation)
            if not other.over:
                other.drop("a newer socket of the same session")
        live.setup = setup
        self._calls[setup.call_sid] = live
        return None


def _may_follow(first: Live, one: Setup, other: Setup, *, proven: bool) -> bool:
    same_people = (one.account_sid, one.from_, one.to) == (other.account_sid, other.from_, other.to)
    return same_people and (first.over or proven or one.session_id == other.session_id)
