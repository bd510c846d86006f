"""What a simulated caller said that never reached the server, in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studio_relay.testing.outputs import CallerTurn
    from studio_relay.testing.twilio import SimulatedCall

_ARRIVES_MS = 1_500  # words are reported this long after they were said, and a little later for each character
_PER_CHARACTER_MS = 60


def lost_words(call: SimulatedCall) -> str:
    """Return what was lost, when and why, in one sentence; empty if everything arrived."""
    lost = [f'"{turn.text}" at {(turn.at_ms - call.started_ms) / 1000:.1f} s' for turn in _unreported(call)]
    if not lost:
        return ""
    if call.attributes.mode == "widget":
        remedy = "In a flow, a redirect stage asks for it: studio-relay flow configure --shape redirect."
    else:
        remedy = "Set report_input_during_agent_speech in your TwiML to hear it."
    return f"{', '.join(lost)}: the agent was still speaking, so the server was never told. {remedy}"


def _unreported(call: SimulatedCall) -> Iterator[CallerTurn]:
    """Words that Twilio kept back; not those that came too late to be reported before the end of the session."""
    if call.attributes.report_input_during_agent_speech in ("any", "speech"):
        return
    frames = [line["frame"] for line in call.log if line["dir"] == "in" and "frame" in line]
    reported = [frame["voicePrompt"].split() for frame in frames if frame["type"] == "prompt" and frame["last"]]
    zero = call.started_ms if call.setup_ms is None else call.setup_ms
    over_ms = next((line["ms"] + zero for line in call.log if line["dir"] == "close"), call.now_ms)
    for turn in call.end.caller_turns:
        if turn.text.split() in reported:
            reported.remove(turn.text.split())
        elif turn.text and turn.at_ms + _ARRIVES_MS + _PER_CHARACTER_MS * len(turn.text) < over_ms:
            yield turn
