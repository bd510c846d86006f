"""What can happen in a session, one class each; they carry data and do nothing."""

from __future__ import annotations

import msgspec

from studio_relay.protocol.messages import Dtmf, ErrorMessage, Info, Interrupt, Prompt, Setup, Unknown


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `number` counts what Twilio sent: replies begun later answer later events."""

    number: int


class Started(Event, frozen=True, kw_only=True):
    """The setup arrived. Next: choose the agent and run on_setup."""

    setup: Setup


class SetupRepeated(Event, frozen=True, kw_only=True):
    """A second setup on the same socket; it changed nothing."""

    setup: Setup


class Prompted(Event, frozen=True, kw_only=True):
    """The caller finished saying something. Next: answer it, replacing the reply that runs."""

    prompt: Prompt


class PartlyPrompted(Event, frozen=True, kw_only=True):
    """The caller is still speaking (or said nothing at all). Next: nothing but watching."""

    prompt: Prompt


class Pressed(Event, frozen=True, kw_only=True):
    """A key. Next: give it to whoever collects digits, else to on_dtmf."""

    dtmf: Dtmf


class Interrupted(Event, frozen=True, kw_only=True):
    """The caller barged in: what was begun in answer to events before number `before` is over.

    `cut` are the numbers of the talk cycles in which nothing more can be sent, `heard` is what the caller heard
    of the speech that was cut. Next: stop generating what began before.
    """

    interrupt: Interrupt
    before: int
    cut: frozenset[int]
    heard: str


class Informed(Event, frozen=True, kw_only=True):
    """Playback or speaker news, already applied. Next: wake whoever waits for speech to end."""

    info: Info


class ErrorReported(Event, frozen=True, kw_only=True):
    """Twilio reported an error; `in_a_row` counts refused frames without a sign of life between them."""

    error: ErrorMessage
    in_a_row: int


class UnknownReceived(Event, frozen=True, kw_only=True):
    """A message of a type we do not know; `first` is true once for each type."""

    message: Unknown
    first: bool


class Refused(Event, frozen=True, kw_only=True):
    """A frame that is not taken: malformed, or out of place. Nothing changed and nothing is answered."""

    reason: str
    first: bool = True


class Ended(Event, frozen=True, kw_only=True):
    """The socket is closed; once per session. `had_setup` tells whether there was a call at all."""

    close_code: int | None
    close_reason: str
    had_setup: bool
    end_sent: bool
