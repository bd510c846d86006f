"""`Call`, the handle a plugin holds on a live call; every action is carried out by the line behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from studio_relay.protocol.messages import Dialect, Language, Outgoing, Play, Prompt, Raw, SendDigits, Setup, Text
from studio_relay.protocol.transcript import Turn

if TYPE_CHECKING:
    from studio_relay.handoff import Handoff

Reason = Literal["ended", "hangup", "dropped", "refused", "limit", "draining"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionEnd:
    """How a session ended.

    `reason` is `ended` (the agent ended it), `hangup` (the caller did), `dropped` (the socket was lost),
    `refused` (this session was turned away after its setup), `limit` or `draining`. `handoff` is what was sent.
    """

    reason: Reason
    close_code: int | None = None
    handoff: Mapping[str, Any] | None = field(default=None, repr=False)


class Line(Protocol):
    """What a call asks of whoever runs its session."""

    def send(self, message: Outgoing | Raw) -> None: ...
    def turns(self) -> Sequence[Turn]: ...
    async def spoken(self, timeout: float | None) -> bool: ...
    async def ask(self, text: str, timeout: float) -> Prompt | None: ...
    async def collect_digits(
        self, *, max_digits: int, min_digits: int, finish: str, timeout: float, secret: bool
    ) -> str | None: ...
    async def end(self, handoff: Handoff | Mapping[str, Any] | None) -> None: ...


class Call:
    """One session of a phone call, as a plugin sees it.

    `session_number` is 1, and 2 and up after a reconnect of the same call. `language` is what the agent speaks
    (a tag such as `en-US`, empty while unknown). `state` holds JSON values of the plugin's own and, like
    `transcript`, goes on over the sockets of one `call_sid`.

    say(), play(), send_digits() and set_language() queue and return at once. Inside a running reply they take
    their place in its talk cycle; from anywhere else they are a cycle of their own behind the open one. They
    raise CallEnded after end(), QueueFull past the outbound limit, LocalProtocolError for what the protocol
    does not allow.

    Utterances that follow each other in a talk cycle are parted by a space: `say("A.")` then `ask("B?")` is spoken
    as "A. B?". An utterance is the text of say() or ask(), or the text a hook returns. Nothing is added where one of
    the two has white space at that place, in scripts without spaces, around a sound, or to the pieces of a stream.
    """

    def __init__(
        self,
        line: Line,
        setup: Setup,
        *,
        agent: str,
        session_number: int = 1,
        language: str = "",
        state: dict[str, Any] | None = None,
    ) -> None:
        self._line = line
        self.session_id = setup.session_id
        self.call_sid = setup.call_sid
        self.account_sid = setup.account_sid
        self.from_ = setup.from_
        self.to = setup.to
        self.direction = setup.direction
        self.dialect: Dialect = setup.dialect
        self.parameters: Mapping[str, str] = setup.custom_parameters
        self.session_number = session_number
        self.agent = agent
        self.language = language
        self.state: dict[str, Any] = {} if state is None else state

    def __repr__(self) -> str:
        return f"<Call {self.call_sid} session {self.session_number} agent {self.agent}>"

    @property
    def transcript(self) -> Sequence[Turn]:
        """The whole call so far as it was heard, earlier sessions included."""
        return self._line.turns()

    def say(
        self,
        text: str,
        *,
        lang: str | None = None,
        interruptible: bool | None = None,
        preemptible: bool | None = None,
    ) -> None:
        """Speak `text`; without a word in it nothing is sent.

        `preemptible` speech may be cut off by later speech: use it for fillers.
        """
        self._line.send(Text(token=text, last=False, lang=lang, interruptible=interruptible, preemptible=preemptible))

    def play(
        self, url: str, *, loop: int = 1, interruptible: bool | None = None, preemptible: bool | None = None
    ) -> None:
        """Play the sound file at a public URL, `loop` times (0: Twilio's maximum of 1,000)."""
        self._line.send(Play(source=url, loop=loop, interruptible=interruptible, preemptible=preemptible))

    def send_digits(self, digits: str) -> None:
        """Send tones behind what was said: `0`-`9`, `#`, `*`, and `w` for half a second of silence."""
        self._line.send(SendDigits(digits=digits))

    def set_language(self, *, tts: str | None = None, transcription: str | None = None) -> None:
        """Change the language spoken (`tts`) or understood (`transcription`) from now on; at least one."""
        self._line.send(Language(tts_language=tts, transcription_language=transcription))
        self.language = tts or self.language

    def send_raw(self, message: Mapping[str, Any]) -> None:
        """Send a frame that is not part of the known protocol; off unless STUDIO_RELAY_ALLOW_RAW_MESSAGES=1."""
        self._line.send(Raw(message))

    async def spoken(self, *, timeout: float | None = None) -> bool:
        """Wait until all that was said has been played. False: it was cut off, or `timeout` seconds passed."""
        return await self._line.spoken(timeout)

    async def ask(self, text: str, *, timeout: float = 8.0) -> Prompt | None:
        """Say `text` and wait for what the caller says next; None after `timeout` seconds of silence.

        The time counts from the end of the speech. A barge-in stops the speech and not the wait. Meanwhile no
        other hook of the agent is started.
        """
        return await self._line.ask(text, timeout)

    async def collect_digits(
        self,
        *,
        max_digits: int,
        min_digits: int = 1,
        finish: str = "#",
        timeout: float = 5.0,
        secret: bool = False,
    ) -> str | None:
        """Wait for keys: until `max_digits`, the `finish` key (not included), or `timeout` seconds without one.

        None when fewer than `min_digits` came. `secret` keeps the keys out of transcript and store.
        """
        return await self._line.collect_digits(
            max_digits=max_digits, min_digits=min_digits, finish=finish, timeout=timeout, secret=secret
        )

    async def end(self, handoff: Handoff | Mapping[str, Any] | None = None) -> None:
        """End the session when the last words were played, with a handoff for the flow. A second call does nothing.

        Raises HandoffError, and ends nothing, when the handoff does not fit the agent's `handoff_model`.
        """
        await self._line.end(handoff)

    def history(self, format: Literal["openai"] = "openai") -> list[dict[str, str]]:
        """The transcript as messages for a language model; what was not heard is not in it."""
        if format != "openai":
            raise ValueError(f"history(): expected format 'openai', found {format!r}")
        return [message for turn in self.transcript if (message := _as_message(turn))]


def _as_message(turn: Turn) -> dict[str, str] | None:
    if turn.who == "agent":
        return {"role": "assistant", "content": turn.text} if turn.text.strip() else None
    content = turn.text or f"[pressed {turn.digits}]"
    return {"role": "user", "content": content}
