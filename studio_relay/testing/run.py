"""Runs a caller script against a server, with or without a flow, and reports what came of it.

A `Run` has the *run* shape of the JSON reports; what the script could ask for is judged in `expectations.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from studio_relay.errors import ScriptError
from studio_relay.studio.outside import RelayOutcome
from studio_relay.testing.attributes import RelayAttributes
from studio_relay.testing.caller import Check, ScriptedCaller
from studio_relay.testing.clock import Clock, is_virtual
from studio_relay.testing.expectations import Evidence, judge
from studio_relay.testing.identity import Identity
from studio_relay.testing.relay import Line, ScriptedRelay, Session
from studio_relay.testing.script import Script
from studio_relay.testing.timings import Timings, first_words, longest_silence
from studio_relay.testing.transcript import Turn
from studio_relay.testing.twilio import LiveEvent, OnEvent, fetch_relay, ignore_event
from studio_relay.testing.voice import MAX_SESSIONS, asked_again

if TYPE_CHECKING:
    from studio_relay.studio.flow import Flow
    from studio_relay.studio.walk import Step, Walk


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a script. `steps` is the flow's path, empty without a flow; `chaos` what went wrong on purpose."""

    ok: bool
    script: str
    flow: str | None
    clock: str
    speed: float
    steps: Sequence[Step] = ()
    transcript: Sequence[Turn] = ()
    sessions: Sequence[Session] = ()
    handoff: Any = None
    context: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    warnings: Sequence[Any] = ()
    timings: Timings
    chaos: Mapping[str, Any] | None = None

    def explain(self) -> str:
        """What was heard, what was expected in vain and where, and how the call ended, for `assert run.ok, ...`."""
        from studio_relay.testing.explanation import explain

        return explain(self)

    def to_json(self, *, context: bool = True) -> dict[str, Any]:
        """The run as design section 7 lays it down; `context` can be left out."""
        run = {
            "version": 1,
            "ok": self.ok,
            "flow": self.flow,
            "script": self.script,
            "clock": self.clock,
            "speed": self.speed,
            "path": [step.to_json() for step in self.steps],
            "transcript": [turn.to_json() for turn in self.transcript],
            "sessions": [_session_json(session) for session in self.sessions],
            "handoff": self.handoff,
            "context": dict(self.context),
            "expectations": [check.to_json() for check in self.checks],
            "warnings": list(self.warnings),
            "timings": self.timings.to_json(),
        }
        if self.chaos is not None:
            run["chaos"] = dict(self.chaos)
        return run if context else {name: value for name, value in run.items() if name != "context"}


async def run_call(
    line: Line,
    url: str,
    script: Script,
    *,
    attributes: RelayAttributes | None = None,
    speed: float = 1.0,
    redials: int = 0,
    on_event: OnEvent = ignore_event,
) -> Run:
    """Call a server without a flow and act out `script`; a session that is lost is dialled again `redials` times.

    `url` is a `ws(s)://` URL or a path, called with `attributes` (by default all that recorded calls had), or an
    `http(s)://` URL that answers with TwiML. Raises AttributesRefused for TwiML that Twilio would refuse,
    ScriptError for a script that expects something of a flow.
    """
    _refuse_without_flow(script)
    clock = Clock(speed=speed)
    caller = ScriptedCaller(script, clock, on_event=on_event)
    relay = ScriptedRelay(caller, line, on_event=on_event)
    identity = _identity(script, line)
    if url.startswith(("http://", "https://")):
        wanted = await fetch_relay(line.transport, url, identity, auth_token=line.auth_token, headers=line.headers)
    else:
        wanted = replace(attributes or RelayAttributes.full(), url=url)
    parameters = {**script.call.parameters, **wanted.parameters}
    wanted = replace(wanted, parameters=parameters)
    following: RelayAttributes | None = wanted
    while following is not None and len(relay.sessions) < MAX_SESSIONS:
        session = await relay.connect(following, identity)
        following = asked_again(session)
        if following is None and session.outcome.status == "failed" and caller.step and len(relay.sessions) <= redials:
            following = wanted
    return _report(script, relay, clock)


async def run_flow(
    flow: Flow,
    script: Script,
    line: Line,
    *,
    speed: float = 1.0,
    trigger: str = "incomingCall",
    on_event: OnEvent = ignore_event,
    on_step: Callable[[Step], None] | None = None,
    **options: Any,
) -> Run:
    """Walk `flow` with `script` as its caller; relay widgets become real sessions over `line`, and so do redirects
    to our own voice URL.

    `options` go to `studio_relay.studio.simulate.walk`. Raises FlowError when a widget needs an answer that the
    script does not give.
    """
    from studio_relay.studio.simulate import walk

    clock = Clock(speed=speed)
    caller = ScriptedCaller(script, clock, on_event=on_event)
    relay = ScriptedRelay(caller, line, on_event=on_event)
    identity = _identity(script, line)
    call = {"CallSid": identity.call_sid, "AccountSid": identity.account_sid}
    call |= {"From": identity.from_, "To": identity.to}

    def show(widget: Any) -> None:
        on_event(LiveEvent(at_ms=clock.now_ms(), kind="widget", text=widget.name))

    walked = await walk(
        flow,
        call=call,
        caller=caller,
        relay=relay,
        trigger=trigger,
        clock=lambda: clock.now_ms() / 1000,
        on_step=on_step,
        on_enter=show,
        **({"redirect": relay.voice} | options),
    )
    return _report(script, relay, clock, flow=flow, walked=walked)


def _refuse_without_flow(script: Script) -> None:
    for expectation in script.expect:
        if expectation.kind in ("path", "variables"):
            place = f"{script.path or script.name}:{expectation.line}"
            fault = f"`{expectation.kind}` can never hold: there is no flow in a plain call"
            hint = "leave it out, or walk the flow with `studio-relay flow run`"
            raise ScriptError(f"{place}: {fault}; {hint}", line=expectation.line)


def _identity(script: Script, line: Line) -> Identity:
    given = {"from_": script.call.from_, "to": script.call.to}
    fields = {name: value for name, value in given.items() if value}
    return Identity.fresh(*([] if line.seed is None else [line.seed]), **fields)


def _report(
    script: Script, relay: ScriptedRelay, clock: Clock, *, flow: Flow | None = None, walked: Walk | None = None
) -> Run:
    caller = relay.caller
    caller.leftovers()
    transcript = list(caller.turns)
    for session in relay.sessions:
        transcript += session.call.transcript() if session.call else []
    transcript.sort(key=lambda turn: turn.at_ms)
    handoff = walked.handoff if walked else _last_handoff(relay.sessions)
    evidence = Evidence(
        heard=" ".join(turn.text for turn in transcript if turn.who != "caller"),
        handoff=handoff,
        status=relay.sessions[-1].outcome.status if relay.sessions else None,
        path=walked.widgets if walked else (),
        variables=walked.variables if walked else {},
    )
    judged = [judge(expectation, evidence) for expectation in script.expect]
    if hint := _unreported_input(relay.sessions):
        judged = [check if check.ok else replace(check, hint=hint) for check in judged]
    checks = [*caller.checks, *judged]
    warnings: list[Any] = [warning.to_json() for warning in walked.warnings] if walked else []
    for session in relay.sessions:
        warnings += [{"widget": session.widget, "message": lesson} for lesson in session.lessons]
    warnings += [{"message": warning} for warning in caller.warnings]
    return Run(
        ok=all(check.ok for check in checks),
        script=str(script.path or script.name),
        flow=flow.name if flow else None,
        clock="virtual" if is_virtual() else "real",
        speed=clock.speed,
        steps=walked.path if walked else (),
        transcript=transcript,
        sessions=relay.sessions,
        handoff=handoff,
        context=walked.context if walked else {},
        checks=sorted(checks, key=lambda check: check.line),
        warnings=warnings,
        timings=_timings(relay.sessions, clock),
    )


def _unreported_input(sessions: Sequence[Session]) -> str:
    """What the caller did that the server was never told of: then nothing that was expected of it can come."""
    reasons = (session.call.end.why_unheard(0) for session in sessions if session.call is not None)
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _last_handoff(sessions: Sequence[Session]) -> Any:
    return next((h for s in reversed(sessions) if (h := _parsed(s.outcome)) is not None), None)


def _parsed(outcome: RelayOutcome) -> Any:
    """The object the handoff text holds, else the text itself."""
    if outcome.handoff_data is None:
        return None
    try:
        return json.loads(outcome.handoff_data)
    except (ValueError, RecursionError):
        return outcome.handoff_data


def _timings(sessions: Sequence[Session], clock: Clock) -> Timings:
    waits: list[int] = []
    silence = 0
    for session in sessions:
        call = session.call
        if call is None or call.setup_ms is None:
            continue
        waits += first_words(call.end)
        ended = call.started_ms + session.outcome.duration_ms
        silence = max(silence, longest_silence(call.end, call.setup_ms, ended))
    return Timings(total_ms=clock.now_ms(), first_word_ms=tuple(waits), longest_silence_ms=silence)


def _session_json(session: Session) -> dict[str, Any]:
    outcome = session.outcome
    shown: dict[str, Any] = {
        "widget": session.widget,
        "session_id": outcome.session_id,
        "agent": _agent_of(session.url),
        "status": outcome.status,
        "close_code": outcome.close_code,
        "error_code": outcome.error_code,
        "duration_ms": outcome.duration_ms,
        "handoff": _parsed(outcome),
    }
    return {name: value for name, value in shown.items() if name != "error_code" or value is not None}


def _agent_of(url: str) -> str | None:
    """The agent the URL's path names, as in `/relay/front-desk`; what the server chose by itself is not known."""
    before, _, name = urlsplit(url).path.rpartition("/relay/")
    return name if name and "/" not in name and not before.endswith("//") else None
