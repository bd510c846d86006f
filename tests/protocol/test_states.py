"""The two tables, walked pair by pair, and a session that obeys them whatever comes in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studio_relay.errors import CallEnded, LocalProtocolError, ProtocolError, QueueFull, RemoteProtocolError
from studio_relay.protocol.events import (
    Ended,
    Event,
    Interrupted,
    PartlyPrompted,
    Pressed,
    Prompted,
    Refused,
    SetupRepeated,
    Started,
    UnknownReceived,
)
from studio_relay.protocol.messages import Language, Play, Raw, SendDigits, Text
from studio_relay.protocol.session import KEY_CAUSES_INTERRUPT_SECONDS, Session, SessionOptions
from studio_relay.protocol.states import FROM_TWILIO, GENERATION, PLAYBACK, Input, Playing, Sound, State, move

LEGAL = sorted(GENERATION, key=str)
ILLEGAL = sorted(set(product(State, Input)) - set(GENERATION), key=str)


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


SETUP = frame("setup", callSid="CA1")
FRAMES = {
    Input.SETUP: SETUP,
    Input.PROMPT_PART: frame("prompt", voicePrompt="he", last=False),
    Input.PROMPT: frame("prompt", voicePrompt="hello"),
    Input.DTMF: frame("dtmf", digit="1"),
    Input.INTERRUPT: frame("interrupt"),
}
EVENTS: dict[Input, type[Event]] = {
    Input.SETUP: Started,
    Input.PROMPT_PART: PartlyPrompted,
    Input.PROMPT: Prompted,
    Input.DTMF: Pressed,
    Input.INTERRUPT: Interrupted,
}


def sent(session: Session, now: float = 0.0) -> list[dict[str, Any]]:
    """What goes on the wire now."""
    return [json.loads(text) for text in iter(lambda: session.next_text(now), None)]


def tokens(session: Session) -> list[tuple[str, bool]]:
    return [(one["token"], one["last"]) for one in sent(session)]


def started(**options: Any) -> Session:
    session = Session(SessionOptions(**options))
    session.receive_text(SETUP, 0.0)
    return session


def session_in(state: State) -> Session:
    session = Session() if state is State.AWAITING_SETUP else started()
    if state is State.REPLYING:
        session.begin()
    elif state is State.ENDING:
        session.end()
    elif state is State.ENDED:
        session.receive_close(1000, "", 1.0)
    assert session.state is state
    return session


# ---------------------------------------------------------------------------------- the tables


@pytest.mark.parametrize(("state", "happened"), LEGAL)
def test_each_legal_pair_moves_to_its_outcome(state: State, happened: Input) -> None:
    outcomes = GENERATION[state, happened]
    assert move(state, happened) is outcomes[0]
    assert move(state, happened, others=True) is outcomes[-1]


@pytest.mark.parametrize(("state", "happened"), ILLEGAL)
def test_each_illegal_pair_raises_the_error_of_who_is_at_fault(state: State, happened: Input) -> None:
    if happened in FROM_TWILIO:
        expected: type[ProtocolError] = RemoteProtocolError
    else:
        expected = CallEnded if state in (State.ENDING, State.ENDED) else LocalProtocolError
    with pytest.raises(ProtocolError) as caught:
        move(state, happened)
    assert type(caught.value) is expected
    assert happened.value in str(caught.value)
    assert state.name in str(caught.value)


def test_every_state_can_end_and_nothing_leaves_the_end() -> None:
    assert all((state, Input.CLOSED) in GENERATION for state in State)
    assert {GENERATION[pair] for pair in GENERATION if pair[0] is State.ENDED} == {(State.ENDED,)}
    reached = {outcome for outcomes in GENERATION.values() for outcome in outcomes}
    assert reached | {State.AWAITING_SETUP} == set(State)


def test_the_playback_table_is_whole_and_never_goes_back_to_not_knowing() -> None:
    assert set(PLAYBACK) == set(product(Playing, Sound))
    assert {p for (p, s), outcome in PLAYBACK.items() if outcome is Playing.UNKNOWN} == {Playing.UNKNOWN}
    assert {s for (p, s), outcome in PLAYBACK.items() if p is outcome is Playing.UNKNOWN} == {Sound.SENT, Sound.CUT}


# ------------------------------------------------------------------- the tables through a session


@pytest.mark.parametrize(("state", "happened"), [pair for pair in LEGAL if pair[1] in FROM_TWILIO])
def test_a_legal_frame_moves_the_session_and_is_an_event(state: State, happened: Input) -> None:
    session = session_in(state)
    (event,) = session.receive_text(FRAMES[happened], 2.0)
    assert type(event) is EVENTS[happened]
    assert session.state is GENERATION[state, happened][0]


@pytest.mark.parametrize(
    ("state", "happened"), [pair for pair in ILLEGAL if pair[0] is not State.ENDED and pair[1] in FROM_TWILIO]
)
def test_an_illegal_frame_changes_nothing(state: State, happened: Input) -> None:
    session = session_in(state)
    before = (session.state, session.setup, session.transcript.turns(), session.waiting)
    (event,) = session.receive_text(FRAMES[happened], 2.0)
    assert isinstance(event, Refused | SetupRepeated)
    assert (session.state, session.setup, session.transcript.turns(), session.waiting) == before


def test_nothing_is_read_after_the_close() -> None:
    session = session_in(State.ENDED)
    assert [session.receive_text(text, 2.0) for text in FRAMES.values()] == [[]] * len(FRAMES)
    assert session.receive_close(1006, "", 3.0) == []


OURS: dict[str, Callable[[Session], object]] = {
    "begin": lambda session: session.begin(),
    "say": lambda session: session.say(1, "x"),
    "send text": lambda session: session.send(1, Text(token="x", last=False, lang="en")),
    "send digits": lambda session: session.send(1, SendDigits(digits="1")),
    "send play": lambda session: session.send(1, Play(source="https://x.example/a.mp3")),
    "send language": lambda session: session.send(1, Language(tts_language="sv-SE")),
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    ("state", "error"),
    [(State.AWAITING_SETUP, LocalProtocolError), (State.ENDING, CallEnded), (State.ENDED, CallEnded)],
)
def test_nothing_can_be_said_before_the_setup_or_after_the_end(
    name: str, state: State, error: type[ProtocolError]
) -> None:
    session = session_in(state)
    sent(session)
    with pytest.raises(LocalProtocolError) as caught:
        OURS[name](session)
    assert type(caught.value) is error
    assert (session.state, session.waiting, sent(session)) == (state, 0, [])


@pytest.mark.parametrize("name", [name for name in OURS if name != "begin"])
@pytest.mark.parametrize("how", ["finished", "replaced", "interrupted", "never begun"])
def test_nothing_more_can_be_said_in_a_cycle_that_is_over(name: str, how: str) -> None:
    session = started()
    if how != "never begun":
        cycle = session.begin()
        session.say(cycle, "One.")
        {
            "finished": lambda: session.finish(cycle),
            "replaced": lambda: session.replace(cycle),
            "interrupted": lambda: session.receive_text(FRAMES[Input.INTERRUPT], 1.0),
        }[how]()
        assert not session.is_open(cycle)
    sent(session)
    with pytest.raises(LocalProtocolError) as caught:
        OURS[name](session)
    assert type(caught.value) is LocalProtocolError
    assert (session.state, sent(session)) == (State.LISTENING, [])


def test_an_end_that_is_not_text_changes_nothing() -> None:
    session = started()
    cycle = session.begin()
    session.say(cycle, "One.")
    with pytest.raises(LocalProtocolError, match=r"end\.handoffData"):
        session.end({"reasonCode": "person"})  # type: ignore[arg-type]
    assert session.state is State.REPLYING
    assert tokens(session) == [("One.", False)]


def test_the_end_goes_out_once_and_ahead_of_what_waits() -> None:
    session = started()
    cycle = session.begin()
    session.say(cycle, "Never heard.")
    session.end("{}")
    assert not session.is_open(cycle)
    session.finish(cycle)
    session.replace(cycle)
    with pytest.raises(CallEnded):
        session.end()
    assert sent(session) == [{"type": "end", "handoffData": "{}"}]
    assert sent(session) == []


def test_an_end_before_the_setup_is_an_end() -> None:
    session = Session()
    session.end()
    assert sent(session) == [{"type": "end"}]
    (event,) = session.receive_text(SETUP, 1.0)
    assert isinstance(event, Refused)
    (ended,) = session.receive_close(1000, "", 2.0)
    assert isinstance(ended, Ended)
    assert (ended.had_setup, ended.end_sent) == (False, True)


def test_an_end_that_never_reached_the_wire_was_not_sent() -> None:
    session = started()
    session.end()
    (ended,) = session.receive_close(1006, "", 1.0)
    assert isinstance(ended, Ended)
    assert ended.end_sent is False
    assert sent(session) == []


def test_the_close_is_told_once_with_what_is_known() -> None:
    session = started()
    session.receive_text(FRAMES[Input.PROMPT], 1.0)
    (ended,) = session.receive_close(1000, "Closing websocket session", 2.0)
    assert ended == Ended(
        number=2, close_code=1000, close_reason="Closing websocket session", had_setup=True, end_sent=False
    )
    assert session.receive_close(1000, "", 2.0) == []


# --------------------------------------------------------------------- frames that come as they like


@pytest.mark.parametrize("happened", [i for i in FROM_TWILIO if i is not Input.SETUP])
def test_before_the_setup_all_is_dropped_and_the_first_is_told_as_such(happened: Input) -> None:
    session = Session()
    first, again = session.receive_text(FRAMES[happened], 0.0) + session.receive_text(FRAMES[happened], 0.1)
    assert isinstance(first, Refused)
    assert isinstance(again, Refused)
    assert (first.first, again.first) == (True, False)
    assert session.state is State.AWAITING_SETUP
    assert type(session.receive_text(SETUP, 0.2)[0]) is Started
    assert session.transcript.turns() == ()


def test_a_connected_notice_before_the_setup_is_harmless() -> None:
    session = Session()
    assert type(session.receive_text(frame("connected", callSid="CA1"), 0.0)[0]) is UnknownReceived
    assert type(session.receive_text(SETUP, 0.0)[0]) is Started


def test_a_repeated_setup_changes_nothing_but_is_told() -> None:
    session = started()
    cycle = session.begin()
    (event,) = session.receive_text(frame("setup", callSid="CA2", callControlId="v2:x"), 1.0)
    assert isinstance(event, SetupRepeated)
    assert event.setup.call_sid == "CA2"
    assert session.setup is not None
    assert (session.setup.call_sid, session.dialect, session.state) == ("CA1", "twilio", State.REPLYING)
    session.say(cycle, "still here")
    assert tokens(session) == [("still here", False)]


def test_an_empty_final_prompt_begins_no_turn() -> None:
    session = started()
    for spoken in ("", " \n", "\x00"):
        assert type(session.receive_text(frame("prompt", voicePrompt=spoken), 1.0)[0]) is PartlyPrompted
    assert session.transcript.turns() == ()


def test_an_interrupt_while_nothing_is_said_cuts_nothing() -> None:
    for state in (State.LISTENING, State.ENDING):
        (event,) = session_in(state).receive_text(FRAMES[Input.INTERRUPT], 1.0)
        assert isinstance(event, Interrupted)
        assert (event.cut, event.heard) == (frozenset(), "")


def test_an_interrupt_after_the_end_leaves_the_end_to_be_sent() -> None:
    session = started()
    session.say(session.begin(), "Bye.")
    session.end("{}")
    session.receive_text(FRAMES[Input.INTERRUPT], 1.0)
    assert session.state is State.ENDING
    assert sent(session) == [{"type": "end", "handoffData": "{}"}]


def test_a_flood_of_unknown_types_costs_no_memory_and_no_log() -> None:
    session = started()
    firsts = 0
    for index in range(2_000):
        for kind in (f"new{index}", f"{index}" + "y" * 5_000, "x" * 5_000):
            (event,) = session.receive_text(frame(kind), 1.0)
            assert isinstance(event, UnknownReceived)
            firsts += event.first
    assert firsts == 100
    remembered = session._seen_types
    assert len(remembered) == 100
    assert max(map(len, remembered)) <= 100


def test_a_type_is_first_once_however_long_its_name() -> None:
    session = started()
    (first,) = session.receive_text(frame("x" * 5_000), 1.0)
    (again,) = session.receive_text(frame("x" * 5_000), 1.0)
    assert isinstance(first, UnknownReceived)
    assert isinstance(again, UnknownReceived)
    assert (first.first, again.first) == (True, False)


# ------------------------------------------------------------------------------ cycles on the wire


def test_cycles_queue_behind_the_open_one() -> None:
    session = started()
    reply, remark = session.begin(), session.begin()
    session.say(reply, "One")
    session.say(remark, "Aside.")
    session.finish(remark)
    assert session.state is State.REPLYING
    assert tokens(session) == [("One", False)]
    session.say(reply, " two.")
    session.finish(reply)
    assert session.state is State.LISTENING
    assert tokens(session) == [(" two.", True), ("Aside.", True)]


def test_a_cycle_takes_its_place_with_its_first_frame() -> None:
    session = started()
    first, second = session.begin(), session.begin()
    session.say(second, "B")
    session.say(first, "A")
    session.finish(first)
    assert tokens(session) == [("B", False)]
    session.finish(second)
    assert tokens(session) == [("", True), ("A", True)]


def test_a_cycle_without_a_word_leaves_no_trace() -> None:
    session = started()
    session.finish(session.begin())
    session.replace(session.begin())
    assert sent(session) == []
    assert session.state is State.LISTENING


def test_a_cycle_of_digits_alone_has_nothing_to_close() -> None:
    session = started()
    cycle = session.begin()
    session.send(cycle, SendDigits(digits="1"))
    session.finish(cycle)
    assert sent(session) == [{"type": "sendDigits", "digits": "1"}]


def test_the_closer_has_the_options_of_the_words_it_closes() -> None:
    session = started()
    cycle = session.begin()
    session.send(cycle, Text(token="Un momento.", last=True, lang="es", preemptible=True))
    assert sent(session) == [{"type": "text", "token": "Un momento.", "last": False, "lang": "es", "preemptible": True}]
    session.finish(cycle)
    assert sent(session) == [{"type": "text", "token": "", "last": True, "lang": "es", "preemptible": True}]


def test_a_replaced_cycle_is_closed_and_its_waiting_words_are_dropped() -> None:
    session = started()
    cycle = session.begin()
    session.say(cycle, "Begun")
    assert tokens(session) == [("Begun", False)]
    session.say(cycle, " and never sent")
    session.replace(cycle)
    assert session.waiting == 0
    assert tokens(session) == [("", True)]
    for number in (cycle, 99):
        session.replace(number)
        session.finish(number)
    assert tokens(session) == []


def test_a_cut_cycle_is_closed_with_nothing_more_in_it_and_the_next_begins_at_once() -> None:
    session = started()
    cycle = session.begin()
    session.say(cycle, "Begun")
    sent(session)
    session.say(cycle, " more")
    (event,) = session.receive_text(FRAMES[Input.INTERRUPT], 1.0)
    assert isinstance(event, Interrupted)
    assert event.cut == {cycle}
    session.finish(cycle)
    again = session.begin()
    session.say(again, "Yes?")
    session.finish(again)
    assert tokens(session) == [("", True), ("Yes?", True)]


def test_the_queue_has_a_bound_and_room_again_once_sent() -> None:
    session = started(outbound_queue=2)
    cycle = session.begin()
    session.say(cycle, "a")
    session.send(cycle, SendDigits(digits="1"))
    assert not session.room
    with pytest.raises(QueueFull):
        session.say(cycle, "b")
    with pytest.raises(QueueFull):
        session.send(cycle, SendDigits(digits="2"))
    assert len(sent(session)) == 2
    assert session.room
    session.say(cycle, "b")
    assert session.waiting == 1


# --------------------------------------------------------------------------- words spoken at once


def test_words_spoken_at_once_go_out_as_queued_ones_do() -> None:
    queued, direct = started(), started()
    for session in (queued, direct):
        cycle = session.begin()
        session.say(cycle, "One")
        assert tokens(session) == [("One", False)]
    queued.say(1, " two")
    assert direct.speak(1, " two", 0.1) == queued.next_text(0.1)
    for session in (queued, direct):
        session.finish(1)
        assert tokens(session) == [("", True)]
    assert direct.transcript.turns() == queued.transcript.turns()


@pytest.mark.parametrize(
    "why", ["first", "waiting", "behind", "long", "control", "nothing", "subclass", "finished", "unknown", "ended"]
)
def test_what_cannot_be_spoken_at_once_is_left_to_be_queued(why: str) -> None:
    session = started(max_token_bytes=40)
    front, cycle = session.begin(), session.begin()
    session.say(front, "One")
    sent(session)
    target, token = front, " two"
    if why == "first" or why == "behind":
        target = cycle
        if why == "behind":
            session.say(cycle, "Aside")
    elif why == "waiting":
        session.say(front, " more")
    elif why == "finished":
        session.finish(front)
    elif why == "unknown":
        target = 99
    elif why == "ended":
        session.end()
    token = {"long": "x" * 11, "control": "x\x07", "nothing": "", "subclass": type("Phrase", (str,), {})("x")}.get(
        why, token
    )
    waiting, speeches = session.waiting, [speech.text for speech in session.playback.speeches]
    assert session.speak(target, token, 0.1) is None
    assert (session.waiting, [speech.text for speech in session.playback.speeches]) == (waiting, speeches)


def test_plain_words_spoken_at_once_behind_preemptible_ones_are_followed_apart() -> None:
    session = started()
    cycle = session.begin()
    session.send(cycle, Text(token="One moment. ", last=False, preemptible=True))
    sent(session)
    assert session.speak(cycle, "Here.", 0.1)
    assert [(s.text, s.preemptible) for s in session.playback.speeches] == [("One moment. ", True), ("Here.", False)]
    session.finish(cycle)
    assert tokens(session) == [("", True)]


# -------------------------------------------------------------- keys as barge-in, decision 20


def keyed(session: Session, digit: str, now: float) -> int:
    (event,) = session.receive_text(frame("dtmf", digit=digit), now)
    return event.number


def say_all(session: Session, text: str, *, answers: int, now: float) -> int:
    cycle = session.begin(answers=answers)
    session.say(cycle, text)
    session.next_text(now)
    return cycle


def cut_by(session: Session, now: float) -> frozenset[int]:
    (event,) = session.receive_text(FRAMES[Input.INTERRUPT], now)
    assert isinstance(event, Interrupted)
    return event.cut


def test_the_reply_to_a_key_outlives_the_interrupt_that_the_key_caused() -> None:
    session = started()
    old = say_all(session, "Press a key.", answers=1, now=1.0)
    key = keyed(session, "1", 2.0)
    new = say_all(session, "One.", answers=key, now=2.0)
    assert cut_by(session, 2.0 + KEY_CAUSES_INTERRUPT_SECONDS) == {old}
    assert session.is_open(new)
    assert session.state is State.REPLYING


def test_later_than_that_it_was_the_voice() -> None:
    session = started()
    new = say_all(session, "One.", answers=keyed(session, "1", 2.0), now=2.0)
    assert cut_by(session, 2.01 + KEY_CAUSES_INTERRUPT_SECONDS) == {new}
    assert session.state is State.LISTENING


def test_once_the_answer_is_reported_played_it_was_the_voice() -> None:
    session = started()
    new = say_all(session, "One. Two.", answers=keyed(session, "1", 2.0), now=2.0)
    session.receive_text(frame("info", name="tokensPlayed", value="One."), 2.1)
    assert cut_by(session, 2.2) == {new}


def test_of_two_keys_fast_after_each_other_the_last_is_the_cause() -> None:
    session = started()
    first = say_all(session, "One.", answers=keyed(session, "1", 2.0), now=2.0)
    second = say_all(session, "Two.", answers=keyed(session, "2", 2.1), now=2.1)
    assert cut_by(session, 2.1) == {first}
    assert session.is_open(second)
    assert cut_by(session, 2.1) == frozenset(), "the interrupt of the first key, late, or a twin"
    assert session.is_open(second)


def test_a_voice_cuts_everything_that_waits() -> None:
    session = started()
    cycles = {say_all(session, text, answers=1, now=1.0) for text in ("A.", "B.")}
    session.say(max(cycles), " more")
    assert cut_by(session, 3.0) == cycles
    assert sent(session) == [{"type": "text", "token": "", "last": True}]


# ------------------------------------------------------------------------------ whatever the order


@dataclass
class Machine:
    """A session, what went over its wire, and what must hold of it at any time."""

    session: Session = field(default_factory=lambda: Session(SessionOptions(outbound_queue=8, allow_raw=True)))
    now: float = 0.0
    cycles: list[int] = field(default_factory=list)
    over: set[int] = field(default_factory=set)
    open_on_wire: int | None = None
    closed_on_wire: set[int] = field(default_factory=set)
    ends: int = 0
    ended: int = 0

    def receive(self, text: str | bytes) -> None:
        was = self.session.state
        for event in self.session.receive_text(text, self.now):
            if isinstance(event, Refused):
                assert self.session.state is was
            if isinstance(event, Interrupted):
                self.over |= event.cut
                if self.open_on_wire in event.cut:
                    self.open_on_wire = None

    def drain(self, most: int) -> None:
        for _ in range(most):
            text = self.session.next_text(self.now)
            if text is None:
                return
            self.check(json.loads(text))

    def speak(self, cycle: int, token: str) -> None:
        text = self.session.speak(cycle, token, self.now)
        if text is not None:
            self.check(json.loads(text))

    def check(self, message: dict[str, Any]) -> None:
        assert self.ends == 0, "output after end"
        assert self.ended == 0, "output after the close"
        if message["type"] == "end":
            self.ends += 1
        elif message["type"] == "text":
            cycle = int(message["token"].split(":")[0]) if message["token"] else self.open_on_wire
            assert cycle is not None, "a closer of nothing"
            assert self.open_on_wire in (None, cycle), "interleaved"
            assert cycle not in self.over, "text of a cut cycle"
            assert cycle not in self.closed_on_wire, "text behind its last"
            self.open_on_wire = None if message["last"] else cycle
            if message["last"]:
                self.closed_on_wire.add(cycle)

    def close(self) -> None:
        for event in self.session.receive_close(1000, "", self.now):
            assert isinstance(event, Ended)
            self.ended += 1


STEPS = st.one_of(
    st.tuples(st.just("in"), st.sampled_from([*FRAMES.values(), "{}", "junk", frame("connected")])),
    st.tuples(
        st.just("in"), st.sampled_from(["on", "off"]).map(lambda v: frame("info", name="agentSpeaking", value=v))
    ),
    st.tuples(
        st.just("in"),
        st.sampled_from(["1:", "1:a", "2:a 2:a", "a", "11", "", "Hello"]).flatmap(
            lambda v: st.sampled_from(
                [frame("info", name="tokensPlayed", value=v), frame("interrupt", utteranceUntilInterrupt=v)]
            )
        ),
    ),
    st.tuples(st.just("begin"), st.integers(-3, 1)),
    st.tuples(
        st.sampled_from(["say", "speak", "option", "preemptible", "digits", "play", "raw", "finish", "replace"]),
        st.integers(-4, 0),
    ),
    st.tuples(st.just("drain"), st.sampled_from([1, 3, 100])),
    st.tuples(st.just("wait"), st.sampled_from([0.001, 0.1, 0.5, 5.0])),
    st.tuples(st.sampled_from(["end", "close"]), st.integers(0, 9)),
)


def step(machine: Machine, what: str, how: Any) -> None:
    session = machine.session
    if what == "in":
        machine.receive(how)
    elif what == "drain":
        machine.drain(how)
    elif what == "wait":
        machine.now += how
    elif what == "close":
        if how == 0:  # not in every run
            machine.close()
    elif what == "end":
        if how <= 1:
            session.end("{}")
            machine.open_on_wire = None
    elif what == "begin":
        number = session._number + how
        machine.cycles.append(session.begin(answers=number if how < 1 else None))
    elif machine.cycles:
        act(machine, machine.cycles[max(how - 1, -len(machine.cycles))], what)


def act(machine: Machine, cycle: int, what: str) -> None:
    token, session = f"{cycle}:a ", machine.session
    {
        "speak": lambda: machine.speak(cycle, token),
        "say": lambda: session.say(cycle, token),
        "option": lambda: session.send(cycle, Text(token=token, last=True, interruptible=False)),
        "preemptible": lambda: session.send(cycle, Text(token=token, last=False, preemptible=True)),
        "digits": lambda: session.send(cycle, SendDigits(digits="11")),
        "play": lambda: session.send(cycle, Play(source="https://x.example/a.mp3")),
        "raw": lambda: session.send(cycle, Raw({"type": "hints"})),
        "finish": lambda: session.finish(cycle),
        "replace": lambda: session.replace(cycle),
    }[what]()


@hypothesis_settings(max_examples=400)
@given(st.booleans(), st.lists(STEPS, max_size=60))
def test_whatever_the_order_the_rules_hold(begun: bool, steps: list[tuple[str, Any]]) -> None:
    machine = Machine()
    if begun:
        machine.receive(SETUP)
    for what, how in steps:
        was = (machine.session.state, machine.session.waiting)
        try:
            step(machine, what, how)
        except LocalProtocolError:
            assert (machine.session.state, machine.session.waiting) == was
        assert (machine.session.state is State.REPLYING) == any(map(machine.session.is_open, machine.cycles))
        assert machine.session.waiting >= 0
        due = machine.session.playback.due(machine.now)
        assert machine.session.playback.done(machine.now) == (due is not None and due <= machine.now)
        assert all(turn.at_ms >= 0 for turn in machine.session.transcript.turns())
    machine.drain(1_000)
    assert machine.session.waiting == 0 or machine.open_on_wire is not None or machine.session.state is State.REPLYING
    machine.close()
    machine.close()
    machine.drain(1_000)
    assert machine.ended == 1
