"""The legal moves of a session: one table for what we generate, one for what is played.

Two clocks overlap in a call. *Generation* is ours: a reply is being made, or it is not. *Playback* is
Twilio's: speech that was sent long ago may still sound. Each is a small machine, and these tables are their
only definition; the diagrams in the README are drawn from them.

Rules:
1. A missing key is an illegal move. Nothing changes when a move is refused.
2. Where a move has two outcomes, the first is the usual one; the second is taken while another talk cycle
   goes on (a reply that answers the very key which caused an interrupt, or speech queued behind a reply).
"""

from __future__ import annotations

from enum import Enum, auto

from studio_relay.errors import CallEnded, LocalProtocolError, RemoteProtocolError


class _Fast(Enum):
    """Enum hashes a member by its name, in Python; members are one of a kind, and each frame looks up several."""

    __hash__ = object.__hash__


class State(_Fast):
    """What this side is doing."""

    AWAITING_SETUP = auto()
    LISTENING = auto()
    REPLYING = auto()
    ENDING = auto()
    ENDED = auto()


class Input(_Fast):
    """What can happen to a session; the first five come from Twilio."""

    SETUP = "setup"
    PROMPT_PART = "a partial prompt"
    PROMPT = "a prompt"
    DTMF = "a key"
    INTERRUPT = "an interrupt"
    REPLY = "speech"
    LAST = "the end of a talk cycle"
    OTHER = "play, sendDigits or language"
    END = "end"
    CLOSED = "the close of the socket"


_S, _I = State, Input
FROM_TWILIO = (_I.SETUP, _I.PROMPT_PART, _I.PROMPT, _I.DTMF, _I.INTERRUPT)

# A prompt does not by itself begin a reply: it may be what a waiting hook asked for. `REPLY` begins one.
GENERATION: dict[tuple[State, Input], tuple[State, ...]] = {
    (_S.AWAITING_SETUP, _I.SETUP): (_S.LISTENING,),
    (_S.AWAITING_SETUP, _I.END): (_S.ENDING,),
    (_S.AWAITING_SETUP, _I.CLOSED): (_S.ENDED,),
    (_S.LISTENING, _I.PROMPT_PART): (_S.LISTENING,),
    (_S.LISTENING, _I.PROMPT): (_S.LISTENING,),
    (_S.LISTENING, _I.DTMF): (_S.LISTENING,),
    (_S.LISTENING, _I.INTERRUPT): (_S.LISTENING,),
    (_S.LISTENING, _I.REPLY): (_S.REPLYING,),
    (_S.LISTENING, _I.LAST): (_S.LISTENING,),
    (_S.LISTENING, _I.OTHER): (_S.LISTENING,),
    (_S.LISTENING, _I.END): (_S.ENDING,),
    (_S.LISTENING, _I.CLOSED): (_S.ENDED,),
    (_S.REPLYING, _I.PROMPT_PART): (_S.REPLYING,),
    (_S.REPLYING, _I.PROMPT): (_S.REPLYING,),
    (_S.REPLYING, _I.DTMF): (_S.REPLYING,),
    (_S.REPLYING, _I.INTERRUPT): (_S.LISTENING, _S.REPLYING),
    (_S.REPLYING, _I.REPLY): (_S.REPLYING,),
    (_S.REPLYING, _I.LAST): (_S.LISTENING, _S.REPLYING),
    (_S.REPLYING, _I.OTHER): (_S.REPLYING,),
    (_S.REPLYING, _I.END): (_S.ENDING,),
    (_S.REPLYING, _I.CLOSED): (_S.ENDED,),
    (_S.ENDING, _I.PROMPT_PART): (_S.ENDING,),
    (_S.ENDING, _I.PROMPT): (_S.ENDING,),
    (_S.ENDING, _I.DTMF): (_S.ENDING,),
    (_S.ENDING, _I.INTERRUPT): (_S.ENDING,),
    (_S.ENDING, _I.CLOSED): (_S.ENDED,),
    (_S.ENDED, _I.CLOSED): (_S.ENDED,),
}


class Playing(_Fast):
    """What the caller is presumed to hear."""

    UNKNOWN = auto()
    IDLE = auto()
    SPEAKING = auto()


class Sound(_Fast):
    """What tells us about playback."""

    SENT = "speech was sent"
    ON = "agentSpeaking on"
    OFF = "agentSpeaking off"
    PLAYED = "tokensPlayed"
    CUT = "an interrupt"


_P, _N = Playing, Sound

# UNKNOWN is left with the first event and never entered again: events, once seen, decide (widget mode has none).
PLAYBACK: dict[tuple[Playing, Sound], Playing] = {
    (_P.UNKNOWN, _N.SENT): _P.UNKNOWN,
    (_P.UNKNOWN, _N.ON): _P.SPEAKING,
    (_P.UNKNOWN, _N.OFF): _P.IDLE,
    (_P.UNKNOWN, _N.PLAYED): _P.SPEAKING,
    (_P.UNKNOWN, _N.CUT): _P.UNKNOWN,
    (_P.IDLE, _N.SENT): _P.IDLE,
    (_P.IDLE, _N.ON): _P.SPEAKING,
    (_P.IDLE, _N.OFF): _P.IDLE,
    (_P.IDLE, _N.PLAYED): _P.IDLE,  # tones are reported without agentSpeaking around them
    (_P.IDLE, _N.CUT): _P.IDLE,
    (_P.SPEAKING, _N.SENT): _P.SPEAKING,
    (_P.SPEAKING, _N.ON): _P.SPEAKING,
    (_P.SPEAKING, _N.OFF): _P.IDLE,
    (_P.SPEAKING, _N.PLAYED): _P.SPEAKING,
    (_P.SPEAKING, _N.CUT): _P.IDLE,
}


def move(state: State, happened: Input, *, others: bool = False) -> State:
    """The state after `happened`; `others` tells whether another talk cycle is still open.

    Raises RemoteProtocolError (their move), CallEnded or LocalProtocolError (ours) when the table has no such move.
    """
    outcomes = GENERATION.get((state, happened))
    if outcomes is None:
        raise _illegal(state, happened)
    return outcomes[-1] if others else outcomes[0]


def _illegal(state: State, happened: Input) -> RemoteProtocolError | LocalProtocolError:
    text = f"{happened.value} is not allowed while the session is {state.name}"
    if happened in FROM_TWILIO:
        return RemoteProtocolError(text)
    if state in (State.ENDING, State.ENDED):
        return CallEnded(f"{text}: nothing can be sent after end() or after the socket has closed")
    return LocalProtocolError(f"{text}: wait for the setup, which on_setup announces")
