"""A real ConversationRelay session for a simulated call: what a flow's relay widget, or plain TwiML, leads to.

It joins a scripted caller, a simulated Twilio and a server; how the run is judged is in `run.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from studio_relay.studio.outside import RelayOutcome, RelayStage
from studio_relay.testing.attributes import AttributesRefused, RelayAttributes
from studio_relay.testing.caller import ScriptedCaller
from studio_relay.testing.identity import Identity, make_sid
from studio_relay.testing.line_delay import LineDelay
from studio_relay.testing.playback import Leftovers
from studio_relay.testing.rates import Rates
from studio_relay.testing.transport import Response, Transport
from studio_relay.testing.twilio import OnEvent, SimulatedCall, fetch_relay, ignore_event

__all__ = ["Line", "ScriptedCaller", "ScriptedRelay", "Session"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """How the simulated Twilio reaches the server, the same for all sessions of a call.

    The same `seed` gives the same ids, and with them the same line. `sign_as` is signed instead of the URL.
    `leftovers` is what becomes of the words that are on the wire when a reply is cut; see `playback.py`. `line_delay`
    and `rates` are drawn for each call unless they are given.
    """

    transport: Transport
    auth_token: str | None = None
    sign_as: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rates: Rates | None = None
    media_ms: Mapping[str, int] = field(default_factory=dict)
    leftovers: Leftovers = "joined"
    line_delay: LineDelay | None = None
    seed: object = None


@dataclass(kw_only=True)
class Session:
    """One session that took place: where, its call (None if Twilio refused the attributes) and its outcome."""

    widget: str
    url: str
    outcome: RelayOutcome
    call: SimulatedCall | None = None
    lessons: list[str] = field(default_factory=list)

    @property
    def action_response(self) -> Response | None:
        """What the `action` URL answered."""
        return self.call.action_response if self.call else None


class ScriptedRelay:
    """Runs the sessions of one call; implements `studio_relay.studio.outside.Relay`. `sessions` keeps them."""

    def __init__(
        self,
        caller: ScriptedCaller,
        line: Line,
        *,
        identity: Identity | None = None,
        on_event: OnEvent = ignore_event,
    ) -> None:
        self.caller = caller
        self.line = line
        self.identity = identity
        self.sessions: list[Session] = []
        self._on_event = on_event

    async def __call__(self, stage: RelayStage) -> RelayOutcome:
        """One visit to a ConversationRelay widget; see `outside.Relay`."""
        identity = self.identity or _identity_of(stage.call, self.line.seed)
        parameters = {**self.caller.script.call.parameters, **stage.parameters}
        try:
            attributes = RelayAttributes.from_widget(stage.attributes, url=stage.url, parameters=parameters)
        except AttributesRefused as error:
            return self._refused(stage.widget, stage.url, error)
        session = await self.connect(attributes, identity, widget=stage.widget)
        self.caller.hung_up = self.caller.hung_up or session.outcome.status == "completed"
        return session.outcome

    async def voice(self, stage: RelayStage) -> RelayOutcome:
        """One visit to a TwiML Redirect to our voice URL, until the call is sent home; see `simulate.walk`."""
        from studio_relay.testing.voice import came_home, run_sessions

        identity, line = self.identity or _identity_of(stage.call, self.line.seed), self.line
        try:
            attributes = await fetch_relay(
                line.transport, stage.url, identity, auth_token=line.auth_token, headers=line.headers
            )
        except AttributesRefused as error:
            return self._refused(stage.widget, stage.url, error)
        parameters = {**self.caller.script.call.parameters, **attributes.parameters}
        outcome = came_home(
            await run_sessions(self, replace(attributes, parameters=parameters), identity, widget=stage.widget)
        )
        self.caller.hung_up = self.caller.hung_up or outcome.status == "completed"
        return outcome

    async def connect(self, attributes: RelayAttributes, identity: Identity, *, widget: str = "relay") -> Session:
        """Run one session with these attributes to its end."""
        number = len(self.sessions) + 1
        call = SimulatedCall(
            self.line.transport,
            attributes.url,
            attributes=attributes,
            identity=identity if number == 1 else replace(identity, call_status="IN_PROGRESS"),
            session_id=self._session_id(identity, number),
            auth_token=self.line.auth_token,
            sign_as=self.line.sign_as,
            headers=self.line.headers,
            rates=self.line.rates,
            media_ms={**self.line.media_ms, **self._media_ms()},
            leftovers=self.line.leftovers,
            line_delay=self.line.line_delay,
            clock=self.caller.clock,
            on_event=self._on_event,
        )
        try:
            await call.start()
            await self.caller.act(call)
            outcome = await call.finished()
        finally:
            await call.aclose()
        lessons = [*attributes.notes, *call.end.lessons]
        session = Session(widget=widget, url=attributes.url, outcome=outcome, call=call, lessons=lessons)
        self.sessions.append(session)
        return session

    def _media_ms(self) -> dict[str, int]:
        return {url: round(seconds * 1000) for url, seconds in self.caller.script.media.items()}

    def _session_id(self, identity: Identity, number: int) -> str:
        if self.line.seed is None:
            return make_sid("VX")
        return make_sid("VX", identity.call_sid, number)

    def _refused(self, widget: str, url: str, error: AttributesRefused) -> RelayOutcome:
        outcome = RelayOutcome(
            status="failed",
            session_id=make_sid("VX", widget, len(self.sessions)),
            duration_ms=0,
            error_code=error.code,
            error_message=str(error),
        )
        self.sessions.append(Session(widget=widget, url=url, outcome=outcome, lessons=[str(error)]))
        return outcome


def _identity_of(call: Mapping[str, str], seed: object) -> Identity:
    fields = {"call_sid": "CallSid", "account_sid": "AccountSid", "from_": "From", "to": "To", "direction": "Direction"}
    given = {name: call[key] for name, key in fields.items() if call.get(key)}
    return Identity.fresh(*([] if seed is None else [seed]), **given)
