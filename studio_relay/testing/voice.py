"""What Twilio does where a call meets TwiML of ours: session after session, as long as the answers ask for one.

How one session goes is in `twilio.py`; what a flow makes of the way home is in `studio_relay.studio`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

from studio_relay.studio.outside import RelayOutcome
from studio_relay.testing.attributes import AttributesRefused, RelayAttributes

if TYPE_CHECKING:
    from typing import Literal

    from studio_relay.testing.identity import Identity
    from studio_relay.testing.relay import ScriptedRelay, Session

MAX_SESSIONS = 5
"""So many relays in a row are followed where an action URL asks for another one."""


async def run_sessions(
    relay: ScriptedRelay, first: RelayAttributes, identity: Identity, *, widget: str = "relay"
) -> Session:
    """Run a session, and those its action URL's answers begin; the last one. A caller who hung up gets no further."""
    session = await relay.connect(first, identity, widget=widget)
    for _ in range(MAX_SESSIONS - 1):
        following = asked_again(session)
        if following is None:
            break
        session = await relay.connect(following, identity, widget=widget)
    return session


def asked_again(session: Session) -> RelayAttributes | None:
    """The relay that the action URL's TwiML begins, if it does."""
    answer = session.action_response
    if answer is None or answer.status != 200 or session.outcome.status == "completed":
        return None
    try:
        if not answer.text.strip():
            return None
        action = session.call.attributes.action_url if session.call else ""
        return RelayAttributes.from_twiml(answer.text).answered_by(action)
    except AttributesRefused as error:
        if error.code is not None:
            session.lessons.append(f"the action URL's TwiML: {error}")
        return None


@dataclass(frozen=True, kw_only=True)
class _Home:
    """What is said on the way back to the flow that sent the call."""

    status: str
    handoff: str | None


def came_home(session: Session) -> RelayOutcome:
    """The last session's outcome as the flow gets to know it: by the redirect to its `return` URL.

    An answer that leads nowhere ends the call, so the flow hears no more of it: `completed`.
    """
    if session.outcome.status == "completed":
        return session.outcome
    home = _home(session)
    if home is None:
        session.lessons.append("the server's answer did not send the call back to the flow: the call is over there")
        return replace(session.outcome, status="completed")
    status = cast("Literal['ended', 'completed', 'failed']", home.status)
    return replace(session.outcome, status=status, handoff_data=home.handoff)


def _home(session: Session) -> _Home | None:
    answer = session.action_response
    try:
        target = ElementTree.fromstring(answer.text).findtext("Redirect") if answer and answer.text.strip() else None
    except ElementTree.ParseError:
        target = None
    fields = dict(parse_qsl(urlsplit((target or "").strip()).query, keep_blank_values=True))
    if fields.get("FlowEvent") != "return" or fields.get("SessionStatus") not in ("ended", "completed", "failed"):
        return None
    return _Home(status=fields["SessionStatus"], handoff=fields.get("HandoffData"))
