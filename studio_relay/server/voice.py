"""`/voice`: the TwiML that brings a call to an agent, or back to one; a session's end is met in `callbacks.py`.

Nobody is left in silence: what we cannot do as asked is done in the nearest way that leads to a voice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quart import Quart, Response

from studio_relay.errors import SettingsError, TwimlError
from studio_relay.plugins import Plugin
from studio_relay.server.answers import Answer, apology, redirect
from studio_relay.server.layers import DEFAULT, Layer, layers, resolve, server_layer
from studio_relay.server.twiml import RelayTwiml
from studio_relay.server.visit import Recovery, Visit
from studio_relay.server.webhook import MAX_BODY_BYTES, Webhook, respond
from studio_relay.ticket import EARLIER, TICKET

if TYPE_CHECKING:
    from studio_relay.server.app import Relay

log = logging.getLogger(__name__)

_GREETING = ("welcome_greeting", "welcome_greeting_interruptible")
_OTHER_RECOGNISER = {"Deepgram": "Google", "Google": "Deepgram"}


def add_voice_routes(app: Quart, relay: Relay) -> None:
    """Serve /voice, /voice/ and /voice/<agent>.

    Raises SettingsError when the environment asks for what Twilio refuses.
    """
    _check(relay)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    async def voice(agent: str | None = None) -> Response:
        return await respond(relay, handler, agent)

    async def handler(hook: Webhook, agent: str | None) -> Answer:
        return voice_answer(relay, hook, agent)

    app.add_url_rule("/voice", "voice", voice, methods=["GET", "POST"])
    app.add_url_rule("/voice/", "voice_slash", voice, methods=["GET", "POST"])  # signed with its slash; not redirected
    app.add_url_rule("/voice/<agent>", "voice_agent", voice, methods=["GET", "POST"])


def voice_answer(relay: Relay, hook: Webhook, agent: str | None) -> Answer:
    """What a call that comes in is answered with."""
    visit = hook.visit
    if visit.strange_home:
        log.error(
            "the call is refused: expected return=https://webhooks.twilio.com/v1/Accounts/%s/Flows/FW..., "
            "and calls are sent nowhere else",
            relay.settings.account_sid or "AC...",
        )
        return apology("return-refused", relay.settings, visit.language)
    if agent is not None and relay.plugins.agent(agent) is None:
        log.error("%s", relay.plugins.absence(agent))
        return go_home_or_apologise("agent-unknown", relay, visit)
    fresh = Visit(home=visit.home, parameters=visit.parameters)
    return Answer(outcome="connect", twiml=connect(relay, hook, fresh, agent, greet=True))


def go_home_or_apologise(outcome: str, relay: Relay, visit: Visit, *, status: str = "failed") -> Answer:
    """The end of what can be done here: the flow has a next step, and without a flow there are words."""
    if visit.home is not None:
        return redirect(outcome, visit.home_with(SessionStatus=status))
    return apology(outcome, relay.settings, visit.language)


def connect(relay: Relay, hook: Webhook, visit: Visit, agent: str | None, *, greet: bool) -> str:
    """The document that begins a session, or begins one again: then without a greeting, if one was heard."""
    twiml = _resolved(relay, hook.base, visit, agent)
    twiml = _changed(twiml, visit.recovery)
    if not greet:
        twiml = twiml.without(*_GREETING).with_parameter(EARLIER, str(visit.recovery.sessions), layer="server")
    call_sid = hook.sid("CallSid")
    if call_sid is not None:
        reusable = twiml.text("application_reconnect") == "true"
        ticket = relay.tickets.issue(call_sid, reusable=reusable)
        twiml = twiml.with_parameter(TICKET, ticket, layer="server")
    return twiml.to_xml()


def _resolved(relay: Relay, base: str, visit: Visit, agent: str | None) -> RelayTwiml:
    plugin = relay.desk.choose(relay.plugins.agent(agent) if agent else None, visit.parameters)
    server = server_layer(base, agent, visit.to_query())
    given = {"language": visit.language} if visit.language else {}
    written = layers(relay.settings.twiml, plugin, given)
    try:
        twiml = resolve(server, *written)
    except TwimlError as error:
        for problem in str(error).splitlines():
            log.error("Twilio would refuse our TwiML, so the call has the defaults: %s", problem)
        twiml = _bare(server, written)
    return with_parameters(twiml, visit)


def _bare(server: Layer, written: list[Layer]) -> RelayTwiml:
    """What is left when the whole would be refused: who waits for a greeting in their language still hears it."""
    try:
        return resolve(server, *(layer.only("welcome_greeting", "language", "parameters") for layer in written))
    except TwimlError:
        return resolve(server, written[-1])


def with_parameters(twiml: RelayTwiml, visit: Visit) -> RelayTwiml:
    """The query's parameters, and `language`, by which the agent knows what the caller hears."""
    for name, text in visit.parameters.items():
        twiml = twiml.with_parameter(name, text, layer="query")
    language = twiml.values.get("language")
    if language is not None and language.layer != DEFAULT and "language" not in twiml.parameters:
        twiml = twiml.with_parameter("language", language.text, layer=language.layer)
    return twiml


def _changed(twiml: RelayTwiml, recovery: Recovery) -> RelayTwiml:
    if "minimal" in recovery.changes:
        twiml = twiml.minimal()
    if "recogniser" in recovery.changes and "multi" not in (
        twiml.text("language"),
        twiml.text("transcription_language"),
    ):
        provider = twiml.text("transcription_provider") or "Deepgram"
        twiml = twiml.with_other_recogniser(_OTHER_RECOGNISER[provider])
    return twiml


# --- at the start -----------------------------------------------------------------------------------------


def _check(relay: Relay) -> None:
    """Find at the start what callers would meet. Raises SettingsError for the environment; agents are logged."""
    example = server_layer(relay.settings.public_url or "https://relay.example.com", None)
    try:
        resolve(example, layers(relay.settings.twiml, relay.desk.default_agent)[0])
    except TwimlError as error:
        raise SettingsError(str(error)) from None
    warnings = [warning for plugin in relay.plugins.agents.values() for warning in _check_agent(relay, plugin, example)]
    for warning in dict.fromkeys(warnings):  # what the environment says, every agent's has
        log.warning("TwiML: %s", warning)


def _check_agent(relay: Relay, plugin: Plugin, example: Layer) -> Sequence[str]:
    try:
        return resolve(example, *layers(relay.settings.twiml, plugin)).warnings
    except TwimlError as error:
        for problem in str(error).splitlines():
            log.error("Twilio would refuse this, so calls by /voice have the defaults: %s", problem)
        return ()
