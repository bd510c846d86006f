"""What a test expects of an agent; a failure prints the whole conversation and marks the place.

Expectations let the virtual clock run as far as they need; they do nothing to the call themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from studio_relay.testing.matching import TextPattern, fold
from studio_relay.testing.timings import first_words, longest_silence
from studio_relay.testing.transcript import Turn

if TYPE_CHECKING:
    from studio_relay.testing.conversation import Conversation

PATIENCE_SECONDS = 10.0


class UnexpectedConversation(AssertionError):
    """The agent did not do what was expected; the message shows the conversation."""


class Expect:
    """Expectations of one conversation; each returns this object, so that they can be chained."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def _call(self) -> Any:
        return self._conversation.call

    def heard(self, text: str, *, within: float = PATIENCE_SECONDS) -> Expect:
        """`text` is heard, now or within so many seconds of silence; a part is enough, `/…/` is a pattern."""
        __tracebackhide__ = True
        pattern = TextPattern(text)
        began = self._conversation.call.now_ms
        if not self._conversation.wait_to(lambda: self._conversation.heard.take(pattern), within_seconds=within):
            found = self._conversation.heard.rest()
            self._fail(f"to hear {text!r}", f"heard {found!r}" if found else "heard nothing more", since=began)
        self._conversation.heard_as_expected()
        return self

    def not_heard(self, text: str) -> Expect:
        """`text` was not heard in the whole conversation, once the agent has finished speaking."""
        __tracebackhide__ = True
        self._conversation.settle()
        pattern = TextPattern(text)
        turn = next((t for t in self._conversation.transcript if t.who == "agent" and pattern.found_in(t.text)), None)
        if turn is not None:
            self._fail(f"not to hear {text!r}", "heard it", since=turn.at_ms, until=turn.at_ms)
        return self

    def handoff(self, *parts: Mapping[str, Any], **fields: Any) -> Expect:
        """The session ends with a handoff that has these fields, as in `handoff(reasonCode="person")`."""
        __tracebackhide__ = True
        wanted = {name: value for part in (*parts, fields) for name, value in part.items()}
        outcome = self._conversation.outcome
        if outcome.handoff_data is None:
            self._fail(f"a handoff with {wanted}", f"the session {outcome.status} without one")
        found = json.loads(outcome.handoff_data)
        wrong = {name: found.get(name) for name, value in wanted.items() if found.get(name) != value}
        if wrong:
            self._fail(f"a handoff with {wanted}", f"found {wrong} in {found}")
        return self

    def ended(self, status: str = "ended") -> Expect:
        """The session ends as `ended` (by the agent), `completed` (by the caller) or `failed`."""
        __tracebackhide__ = True
        outcome = self._conversation.outcome
        if outcome.status != status:
            code = f" with {outcome.error_code}" if outcome.error_code else ""
            self._fail(f"the session {status}", f"it {outcome.status}{code}")
        return self

    def digits_sent(self, digits: str) -> Expect:
        """The agent sends these keys into the call."""
        __tracebackhide__ = True
        sent = [item.sent for item in self._call.end.playback.utterances if item.kind == "digits"]
        if not self._conversation.wait_to(
            lambda: any(item.kind == "digits" and item.sent == digits for item in self._call.end.playback.utterances),
            within_seconds=PATIENCE_SECONDS,
        ):
            self._fail(f"the keys {digits!r} to be sent", f"sent {sent or 'none'}")
        return self

    def language(self, *, tts: str | None = None, transcription: str | None = None) -> Expect:
        """The call is in this language now, spoken and understood."""
        __tracebackhide__ = True
        end = self._call.end
        self._conversation.wait_to(
            lambda: tts in (None, end.tts_language) and transcription in (None, end.transcription_language),
            within_seconds=1.0,
        )
        for name, wanted, found in (
            ("tts", tts, end.tts_language),
            ("transcription", transcription, end.transcription_language),
        ):
            if wanted is not None and wanted != found:
                self._fail(f"{name} language {wanted}", f"it is {found}")
        return self

    def nothing_more(self, within: float = 3.0) -> Expect:
        """The agent begins no other reply behind the one that was expected last, for so many seconds."""
        __tracebackhide__ = True
        began = self._conversation.call.now_ms
        self._conversation.wait_to(lambda: bool(self._conversation.more_speech()), within_seconds=within)
        if more := self._conversation.more_speech():
            self._fail("nothing more", f"heard {more[0]!r}", since=began)
        return self

    def nothing_after_end(self) -> Expect:
        """The agent sent nothing behind its `end`."""
        __tracebackhide__ = True
        if self._call.end.after_end:
            self._fail("nothing after `end`", f"{len(self._call.end.after_end)} messages came")
        return self

    def no_lessons(self) -> Expect:
        """Twilio would have had nothing to teach: no message was refused, none had keys nobody knows."""
        __tracebackhide__ = True
        if self._call.end.lessons:
            self._fail("only messages that Twilio takes", "; ".join(self._call.end.lessons))
        return self

    def first_word_within(self, ms: int) -> Expect:
        """Each answer is audible so many milliseconds after the caller's end, at most."""
        __tracebackhide__ = True
        self._conversation.settle()
        waits = first_words(self._call.end)
        if waits and max(waits) > ms:
            self._fail(f"first words within {ms} ms", f"waited {waits}")
        return self

    def dead_air_within(self, ms: int) -> Expect:
        """Nobody is silent for longer than this, so far."""
        __tracebackhide__ = True
        began = self._call.setup_ms or 0
        longest = longest_silence(self._call.end, began, self._call.now_ms)
        if longest > ms:
            self._fail(f"no silence above {ms} ms", f"{longest} ms")
        return self

    def snapshot(self, path: str | Path, *, update: bool = False) -> Expect:
        """The conversation is what `path` holds; a file that is not there, or `update`, is written instead."""
        __tracebackhide__ = True
        where, text = Path(path), self._conversation.snapshot()
        if update or not where.exists():
            where.parent.mkdir(parents=True, exist_ok=True)
            part = where.with_suffix(where.suffix + ".part")
            part.write_text(text, encoding="utf-8")
            part.replace(where)
        elif where.read_text(encoding="utf-8") != text:
            self._fail(f"the conversation of {where.name}", "it is another one; delete the file to take the new one")
        return self

    def _fail(self, expected: str, found: str, *, since: int | None = None, until: int | None = None) -> NoReturn:
        __tracebackhide__ = True
        turns = self._conversation.transcript
        shown = show_conversation(turns, since, until)
        ended = f"\n    ({self._call.end.state})" if self._call.over else ""
        refused = f"\n    (the server refused the call: {self._call.refusal})" if self._call.refusal else ""
        reason = self._conversation.why_unheard()
        unheard = f"\n    (the agent did not hear the caller. {reason})" if reason else ""
        raise UnexpectedConversation(
            f"expected {expected}; {found}\nthe conversation, > marks the place:\n{shown}{ended}{refused}{unheard}"
        )


def show_conversation(turns: list[Turn], since: int | None = None, until: int | None = None) -> str:
    """The conversation as lines, with `>` before the turns of the given time, or at its end if there are none."""
    lines, marked = [], False
    for turn in turns:
        here = since is not None and turn.at_ms >= since and (until is None or turn.at_ms <= until)
        marked = marked or here
        lines.append(turn_line(turn, mark=">" if here else " "))
    if not marked:
        lines.append(f"> {'':8} (here)")
    return "\n".join(lines)


def turn_line(turn: Turn, *, mark: str = " ") -> str:
    """One turn with its time; words that were sent and not heard stand in brackets."""
    return f"{mark} {_clock(turn.at_ms)}  {turn.who:<6}  {_shown(turn)}"


def _clock(ms: int) -> str:
    return f"{ms // 60_000}:{ms % 60_000 / 1000:04.1f}".rjust(7)


def _shown(turn: Turn) -> str:
    if turn.digits is not None:
        return f"[keys {turn.digits}]"
    unheard = fold(turn.sent or "").removeprefix(fold(turn.text)).strip() if turn.sent else ""
    return f"{turn.text} [cut off: {unheard}]" if unheard else turn.text
