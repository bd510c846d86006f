"""The delay of the line: its bounds, its order, and that both ends of a call live with it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from studio_relay.testing import AsgiTransport, Identity, RelayAttributes, SimulatedCall, run_virtual
from studio_relay.testing.line_delay import DrawnDelay, LineDelay
from studio_relay.testing.rates import START_MS, MeasuredRates

URL = "wss://relay.example.test/relay"


@given(seed=st.integers(), waits=st.lists(st.integers(0, 300), max_size=50))
def test_each_frame_takes_20_to_200_ms_and_none_overtakes(seed: int, waits: list[int]) -> None:
    delay, now, arrivals = DrawnDelay(seed), 0, []
    for wait in waits:
        now += wait
        arrivals.append(delay.arrival(now))
        assert 20 <= arrivals[-1] - now <= 200
    assert arrivals == sorted(arrivals)


def test_each_call_and_direction_has_its_own_delay() -> None:
    lines = [LineDelay.drawn(seed) for seed in range(20)]
    assert len({line.to_server.arrival(0) for line in lines}) > 10
    assert any(abs(line.to_server.arrival(0) - line.to_twilio.arrival(0)) > 50 for line in lines)
    assert LineDelay.drawn(3).to_server.arrival(0) == LineDelay.drawn(3).to_server.arrival(0)


def talk(app: Any, seed: int, *, ending: str = "hang up", line_delay: LineDelay | None = None) -> SimulatedCall:
    """A call in which the caller says and presses something, then ends it."""

    async def main() -> SimulatedCall:
        call = SimulatedCall(
            AsgiTransport(app),
            URL,
            attributes=RelayAttributes.full(),
            identity=Identity.fresh(seed),
            session_id="VX1",
            line_delay=line_delay,
            rates=MeasuredRates(),
        )
        await call.start()
        call.say("Well, hello.")
        await call.silence(4)
        await call.press("12")
        if ending == "drop":
            await call.drop_socket()
        else:
            call.hang_up()
        await call.finished()
        await call.aclose()
        return call

    return run_virtual(main(), limit_seconds=600)


def test_the_server_learns_everything_later_and_in_order(serve: Any) -> None:
    for seed in range(10):
        app = serve(lambda frame: [])
        call = talk(app, seed)
        sent = [line["frame"] for line in call.log if line["dir"] == "in"]
        assert [told.frame for told in call.delivered] == app.frames == sent
        assert all(20 <= told.at_ms - told.sent_ms <= 200 for told in call.delivered)
        assert all(one.at_ms <= other.at_ms for one, other in pairwise(call.delivered))
        assert [told.sent_ms for told in call.delivered] == [
            line["ms"] + (call.setup_ms or 0) for line in call.log if line["dir"] == "in"
        ]
        assert app.closed == [1000]


def test_what_was_sent_before_the_network_dropped_the_socket_arrives_and_no_answer_does(serve: Any, say: Any) -> None:
    app = serve(lambda f: say("Key two.") if f["type"] == "dtmf" and f["digit"] == "2" else [])
    call = talk(app, 1, ending="drop")
    assert app.frames[-1] == call.delivered[-1].frame == {"type": "dtmf", "digit": "2"}
    assert app.closed == [1006]
    assert call.end.playback.utterances == []
    assert "out" not in {line["dir"] for line in call.log}


def test_the_server_s_words_take_as_long_as_the_line_does(serve: Any, say: Any) -> None:
    for slow in (0, 150):
        app = serve(lambda f: say("Key.") if f["type"] == "dtmf" else [])
        call = talk(app, 1, line_delay=LineDelay.fixed(to_server=slow, to_twilio=40))
        heard = call.end.playback.utterances[0]
        pressed = next(turn.at_ms for turn in call.end.caller_turns if turn.digits)
        assert heard.frames == [(0, 4)]
        assert heard.ready_ms - pressed == 40 + slow + START_MS


def test_what_the_server_said_before_it_closed_reaches_twilio_before_the_close(serve: Any, say: Any) -> None:
    app = serve(lambda f: [*say("Bye."), {"type": "end"}, None] if f["type"] == "setup" else [])
    call = talk(app, 1)
    assert call.end.close_code == 1000
