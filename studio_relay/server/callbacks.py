"""`/connect-action`: what a call does when its session is over (protocol reference, 5; design, section 4).

The answer follows from the request alone, since its URL carries what was tried before: any process can give it, with
or without the store. A repeat gets the same document, which is kept for that; effects happen once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from quart import Quart, Response

from studio_relay.log import REPEATS
from studio_relay.memory import store_fault
from studio_relay.server.answers import Answer, apology, hang_up, nothing, redirect
from studio_relay.server.failures import Failure, failure_of
from studio_relay.server.visit import Recovery, Visit
from studio_relay.server.voice import connect, go_home_or_apologise
from studio_relay.server.webhook import Webhook, respond
from studio_relay.store import ENDED_SECONDS

if TYPE_CHECKING:
    from studio_relay.server.app import Relay

log = logging.getLogger(__name__)

_Again = Callable[[Recovery, str, bool], Answer]
"""Connects the call again: after what was tried, under the name of that outcome, with a greeting or without."""

_OVER = frozenset(("completed", "busy", "no-answer", "canceled", "failed"))
_STORE_SECONDS = 1.0  # the caller hears nothing meanwhile, and the answer does not depend on it


def add_callback_routes(app: Quart, relay: Relay) -> None:
    """Serve /connect-action and /connect-action/<agent>, which is where our TwiML sends a call that had that agent."""
    callbacks = Callbacks(relay)

    async def action(agent: str | None = None) -> Response:
        return await respond(relay, callbacks.answer, agent)

    app.add_url_rule("/connect-action", "connect_action", action, methods=["GET", "POST"])
    app.add_url_rule("/connect-action/<agent>", "connect_action_agent", action, methods=["GET", "POST"])


@dataclass(frozen=True, kw_only=True)
class SessionOver:
    """What Twilio says of a session that is over; ids are None where they cannot be ids."""

    call_sid: str | None
    session_id: str | None
    status: str
    call_status: str
    seconds: int
    code: str
    message: str = field(repr=False)
    handoff: str | None = field(repr=False)

    @classmethod
    def read(cls, hook: Webhook) -> SessionOver:
        """The fields of a callback."""
        return cls(
            call_sid=hook.sid("CallSid"),
            session_id=hook.sid("SessionId"),
            status=hook.text("SessionStatus").lower(),
            call_status=hook.text("CallStatus").lower(),
            seconds=_whole(hook.text("SessionDuration")),
            code=hook.text("ErrorCode"),
            message=hook.text("ErrorMessage"),
            handoff=hook.fields.get("HandoffData"),
        )

    @property
    def key(self) -> str | None:
        """What makes two callbacks the same one; None where that cannot be told."""
        if self.call_sid is None or self.session_id is None:
            return None
        return f"callback:{self.call_sid}:{self.session_id}:{self.status[:40]!a}"

    @property
    def ids(self) -> tuple[str | None, str | None]:
        """Call and session."""
        return self.call_sid, self.session_id

    @property
    def caller_is_gone(self) -> bool:
        """Whether nobody hears what is answered."""
        return self.status == "completed" or self.call_status in _OVER

    @property
    def is_moved(self) -> bool:
        """Whether a server that is leaving handed the call on."""
        try:
            handoff = json.loads(self.handoff or "null")
        except (ValueError, RecursionError):
            return False
        return isinstance(handoff, dict) and handoff.get("reasonCode") == "relay-draining"


class Callbacks:
    """Answers every callback once, and every repeat of it in the same way."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._answering: dict[str, asyncio.Task[Answer]] = {}

    async def answer(self, hook: Webhook, agent: str | None) -> Answer:
        """The document for this callback."""
        over = SessionOver.read(hook)
        if over.key is None:
            return self._decide(hook, over, agent)
        task = self._answering.get(over.key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._answer(over.key, hook, over, agent))
            self._answering[over.key] = task
            task.add_done_callback(lambda _: self._answering.pop(over.key or "", None))
        return await asyncio.shield(task)

    async def _answer(self, key: str, hook: Webhook, over: SessionOver, agent: str | None) -> Answer:
        kept = await self._kept(key)
        if kept is not None:
            log.info("the same callback again: answered as before (%s)", kept.outcome)
            return kept
        answer = self._decide(hook, over, agent)
        await self._keep(key, answer)
        return answer

    async def _kept(self, key: str) -> Answer | None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                kept = await self._relay.store.get(key)
            return None if kept is None else Answer.from_json(kept)
        except Exception as error:
            log.error(
                "whether this callback came before cannot be told; it is answered: %s",
                store_fault(error),
                extra=REPEATS,
            )
            return None

    async def _keep(self, key: str, answer: Answer) -> None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self._relay.store.put(key, answer.to_json(), ENDED_SECONDS)
        except Exception as error:
            log.error("the answer could not be kept for a repeat: %s", store_fault(error), extra=REPEATS)

    # ------------------------------------------------------------------------------ what is answered

    def _decide(self, hook: Webhook, over: SessionOver, agent: str | None) -> Answer:
        answer = self._decided(hook, over, agent)
        shown = over.status if over.status in ("ended", "completed", "failed") else "unknown"
        fields = {"event": "session-over", "status": shown, "outcome": answer.outcome}
        log.info("session over (%s): %s", shown, answer.outcome, extra={"fields": fields})
        return answer

    def _decided(self, hook: Webhook, over: SessionOver, agent: str | None) -> Answer:
        visit = hook.visit
        if visit.strange_home:
            log.error("return is no flow of this account; the call does not go there")
        if agent is not None and self._relay.plugins.agent(agent) is None:
            log.warning("%s; the default one goes on", self._relay.plugins.absence(agent))
            agent = None
        again = partial(self._reconnect, hook, visit, agent)
        if over.status == "failed":
            return self._failed(over, visit, again)
        if over.status == "completed":
            return nothing("hung-up")
        if over.status != "ended":
            found = repr(over.status) if re.fullmatch("[a-z-]{1,40}", over.status) else _strange(over.status)
            log.warning("expected SessionStatus ended, completed or failed, found %s", found)
        if over.is_moved and not over.caller_is_gone:
            return self._moved(over, visit, again)
        return self._ended(over, visit)

    def _ended(self, over: SessionOver, visit: Visit) -> Answer:
        """The agent ended the session: home to the flow, on to the configured TwiML, or goodbye."""
        status = over.status or "ended"
        if visit.home is not None:
            return redirect("home", visit.home_with(SessionStatus=status[:40], HandoffData=over.handoff))
        after = self._relay.settings.after_end_url
        return redirect("after-end", after) if after else hang_up("hang-up")

    def _moved(self, over: SessionOver, visit: Visit, again: _Again) -> Answer:
        recovery = visit.recovery.moved()
        if recovery is not None:
            log.info("a server that is leaving handed the call on; it is connected again")
            return again(recovery, "moved", False)
        log.error("the call was handed on %d times by servers that were leaving; it is given up", visit.recovery.moves)
        return self._ended(over, visit) if visit.home else apology("apology", self._relay.settings, visit.language)

    def _failed(self, over: SessionOver, visit: Visit, again: _Again) -> Answer:
        failure = failure_of(over.code)
        self._drop_socket(over)
        if over.caller_is_gone:
            self._tell(over, failure, "the caller is gone")
            return nothing("failed-and-gone")
        recovery = visit.recovery.after(failure.reaction, self._relay.settings.max_reconnects)
        if recovery is not None:
            self._tell(over, failure, f"connected again, {recovery.reconnects} of at most {self._limit}")
            unheard = over.seconds < failure.unheard_within and visit.recovery == Recovery()
            return again(recovery, "reconnect", unheard)
        if failure.reaction == "unknown" and (visit.home or self._relay.settings.after_end_url):
            self._tell(over, failure, "goes on as after an end")
            return self._ended(over, visit)
        self._tell(over, failure, "back to its flow" if visit.home else "apology and hang-up")
        return go_home_or_apologise("home-failed" if visit.home else "apology", self._relay, visit)

    def _reconnect(
        self, hook: Webhook, visit: Visit, agent: str | None, recovery: Recovery, outcome: str, greet: bool
    ) -> Answer:
        visit = replace(visit, recovery=recovery)
        return Answer(outcome=outcome, twiml=connect(self._relay, hook, visit, agent, greet=greet))

    @property
    def _limit(self) -> int:
        return self._relay.settings.max_reconnects

    # -------------------------------------------------------------------------------- effects, and words

    def _drop_socket(self, over: SessionOver) -> None:
        """Twilio has lost this socket; if we have not noticed yet, the next one must not be taken for a stranger."""
        for live in self._relay.registry:
            setup = live.setup
            if setup is not None and not live.over and (setup.call_sid, setup.session_id) == over.ids:
                live.drop("Twilio reports that this session failed")

    def _tell(self, over: SessionOver, failure: Failure, what: str) -> None:
        code = over.code if re.fullmatch("[0-9]{0,6}", over.code) else _strange(over.code)
        log.warning("session failed, code %s: %s; %s. To do: %s", code or "none", failure.what, what, failure.advice)
        log.debug("Twilio's words for it: %s", ascii(over.message[:300]))


def _strange(text: str) -> str:
    """What may be anything, a number or a name too, is not repeated in a log."""
    return "something else" if text else "nothing"


def _whole(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0
