"""One socket served: limits, closes, and clients that behave badly; others do not notice."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio_relay import Call, Dtmf, Prompt, Setup, hookimpl
from studio_relay.call import SessionEnd
from studio_relay.protocol.session import Session

pytestmark = pytest.mark.looptime

ACCOUNT = "AC00000000000000000000000000000000"


class Agent:
    """Echoes; `long` is a reply of 20,000 pieces, `slow` one that takes a minute. Notes every end."""

    def __init__(self) -> None:
        self.ends: list[SessionEnd] = []

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        if prompt.voice_prompt == "long":
            for number in range(20_000):
                yield f"{number} "
        elif prompt.voice_prompt == "slow":
            for number in range(60):
                yield f"{number} "
                await asyncio.sleep(1)
        elif prompt.voice_prompt == "bye":
            yield "Goodbye."
            await call.end({"reasonCode": "done"})
        else:
            yield f"You said {prompt.voice_prompt}."

    @hookimpl
    def on_end(self, end: SessionEnd) -> None:
        self.ends.append(end)

    @property
    def reasons(self) -> list[tuple[str, int | None]]:
        return [(end.reason, end.close_code) for end in self.ends]


def warned(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "hangup"), (1006, "dropped"), (1001, "dropped"), (1005, "dropped")]
)
async def test_the_close_code_tells_the_reason(serve: Any, setup_frame: Any, code: int, reason: str) -> None:
    agent = Agent()
    server = serve(agent)
    socket = await server.connect()
    await socket.send(setup_frame)
    await socket.disconnect(code)
    assert agent.reasons == [(reason, code)]
    assert len(server.relay.registry) == 0
    assert socket.task.done()


async def test_a_session_that_was_ended(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    socket = await serve(agent).connect()
    await socket.send(setup_frame)
    await socket.prompt("bye")
    await asyncio.sleep(2)
    assert [end["handoffData"] for end in socket.ends] == ['{"reasonCode":"done","version":1,"summary":""}']
    await socket.disconnect(1000)
    assert agent.reasons == [("ended", 1000)]
    assert agent.ends[0].handoff == {"reasonCode": "done", "version": 1, "summary": ""}


async def test_an_ended_session_that_nobody_closes_is_closed_by_us(serve: Any, setup_frame: Any, caplog: Any) -> None:
    agent = Agent()
    socket = await serve(agent).connect()
    await socket.send(setup_frame)
    await socket.prompt("bye")
    await asyncio.sleep(2)
    assert socket.closed is None
    await asyncio.sleep(5)
    assert socket.closed is not None
    assert socket.closed[0] == 1000
    assert "did not close within 5 s of end" in warned(caplog)
    assert agent.reasons == [("ended", 1000)]


async def test_a_socket_without_a_setup_is_closed(serve: Any, caplog: Any) -> None:
    agent = Agent()
    server = serve(agent)
    socket = await server.connect()
    await asyncio.sleep(9.9)
    assert socket.closed is None
    await asyncio.sleep(0.2)
    assert socket.closed == (1008, "no setup")
    assert "no setup came within 10 s" in warned(caplog)
    assert agent.ends == []
    assert len(server.relay.registry) == 0


async def test_frames_before_the_setup_are_dropped_and_logged_once(serve: Any, setup_frame: Any, caplog: Any) -> None:
    socket = await serve(Agent()).connect()
    for _ in range(5):
        await socket.prompt("too early")
    await socket.send({"type": "dtmf", "digit": "1"})
    await socket.send(setup_frame)
    await socket.prompt("hello")
    assert socket.words == "You said hello."
    assert warned(caplog).count("expected `setup` as the first frame, found `prompt`") == 1
    assert "too early" not in caplog.text


@pytest.mark.parametrize(
    "frame", [b"", b"\x00\xff\xfe", "", "null", "[]", "{", '{"type":5}', "x" * 70_000, "[" * 9_000]
)
async def test_a_bad_frame_is_refused_with_its_reason_and_the_call_goes_on(
    serve: Any, setup_frame: Any, frame: str | bytes, caplog: Any
) -> None:
    socket = await serve(Agent()).connect()
    await socket.send(setup_frame, frame)
    assert warned(caplog).startswith("frame refused: ")
    assert len(warned(caplog)) < 500
    await socket.prompt("hello")
    assert socket.words == "You said hello."


async def test_a_flood_of_frames_is_closed(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    server = serve(agent, max_frames_per_second=10, max_frames_burst=50)
    flooding, other = await server.connect(), await server.connect()
    await other.send(setup_frame | {"callSid": "CA2"})
    await flooding.send(setup_frame, *[{"type": "info", "name": "x", "value": "y"}] * 60)
    assert flooding.closed == (1008, "too many frames")
    assert agent.reasons == [("limit", 1008)]
    await other.prompt("hello")
    assert other.words == "You said hello."


async def test_a_flood_of_prompts_is_closed_and_leaves_nothing_running(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    socket = await serve(agent).connect()
    prompt = {"type": "prompt", "voicePrompt": "slow", "last": True}
    await socket.send(setup_frame, *[prompt] * 1200)
    await asyncio.sleep(20)
    assert agent.reasons[0][0] in ("limit", "ended")
    assert socket.closed is not None
    assert not [task for task in asyncio.all_tasks() if "on_prompt" in task.get_name()]


async def test_five_hundred_replayed_frames_are_no_flood(serve: Any, setup_frame: Any) -> None:
    socket = await serve(Agent()).connect()
    await socket.send(setup_frame, *[{"type": "prompt", "voicePrompt": "x", "last": False}] * 500)
    await socket.prompt("hello")
    assert socket.words == "You said hello."


async def test_reading_stops_while_too_much_waits_for_on_setup(serve: Any, setup_frame: Any) -> None:
    pressed = []

    class Slow(Agent):
        @hookimpl
        async def on_setup(self) -> None:
            await asyncio.sleep(5)

        @hookimpl
        async def on_dtmf(self, dtmf: Dtmf) -> None:
            pressed.append(dtmf.digit)

    server = serve(Slow(), inbound_queue=8)
    socket = await server.connect()
    await socket.send(setup_frame, *[{"type": "dtmf", "digit": "1"}] * 100)
    [live] = list(server.relay.registry)
    assert live.conversation.backlog == 8
    await asyncio.sleep(6)
    assert len(pressed) == 100


async def test_a_client_that_never_reads_is_dropped(serve: Any, setup_frame: Any, caplog: Any) -> None:
    agent = Agent()
    server = serve(agent)
    socket, other = await server.connect(), await server.connect()
    await other.send(setup_frame | {"callSid": "CA2"})
    await socket.send(setup_frame)
    socket.reading.clear()
    await socket.prompt("long")
    await asyncio.sleep(9)
    assert agent.ends == []
    await other.prompt("hello")
    assert other.words == "You said hello."
    await asyncio.sleep(15)
    assert [end.reason for end in agent.ends] == ["dropped"]
    assert "has read nothing for 10 s" in warned(caplog)
    assert "plugin agent failed" not in caplog.text
    assert len(server.relay.registry) == 1


async def test_a_client_that_reads_again_in_time_is_served_on(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    socket = await serve(agent).connect()
    await socket.send(setup_frame)
    socket.reading.clear()
    await socket.prompt("long")
    await asyncio.sleep(8)
    socket.reading.set()
    await asyncio.sleep(8)
    assert agent.ends == []
    assert socket.words.endswith("19999 ")


async def test_a_socket_that_dies_in_mid_reply(serve: Any, setup_frame: Any, caplog: Any) -> None:
    agent = Agent()
    server = serve(agent)
    socket = await server.connect()
    await socket.send(setup_frame)
    await socket.prompt("slow")
    await asyncio.sleep(3)
    socket.broken = ConnectionResetError("gone")
    await asyncio.sleep(3)
    await socket.disconnect(1006)
    assert agent.reasons == [("dropped", 1006)]
    assert len(server.relay.registry) == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not [task for task in asyncio.all_tasks() if "on_prompt" in task.get_name()]


async def test_an_interrupt_stops_a_reply_that_never_waits(serve: Any, setup_frame: Any) -> None:
    socket = await serve(Agent()).connect()
    await socket.send(setup_frame)
    await socket.prompt("long")
    await asyncio.sleep(0.05)
    before = len(socket.frames)
    assert 32 < before < 10_000
    await socket.send({"type": "interrupt", "utteranceUntilInterrupt": "0 1", "durationUntilInterruptMs": "300"})
    await asyncio.sleep(2)
    assert len(socket.frames) - before <= 100


@pytest.mark.parametrize("times", [1, 3])
async def test_cancellation_by_the_host_runs_on_end_once(serve: Any, setup_frame: Any, times: int) -> None:
    class Slow(Agent):
        @hookimpl
        async def on_end(self, end: SessionEnd) -> None:
            await asyncio.sleep(2)
            self.ends.append(end)

    agent = Slow()
    server = serve(agent)
    socket = await server.connect()
    await socket.send(setup_frame)
    await socket.prompt("slow")
    for _ in range(times):
        socket.task.cancel()
        await asyncio.sleep(0.5)
    await asyncio.wait({socket.task}, timeout=5)
    assert agent.reasons == [("dropped", None)]
    assert len(server.relay.registry) == 0


async def test_a_fault_of_ours_is_logged_and_ends_that_call_only(
    serve: Any, setup_frame: Any, monkeypatch: Any, caplog: Any
) -> None:
    agent = Agent()
    server = serve(agent)
    socket, other = await server.connect(), await server.connect()
    await other.send(setup_frame | {"callSid": "CA2"})
    await socket.send(setup_frame)
    with monkeypatch.context() as patch:
        patch.setattr(Session, "receive_text", lambda *arguments: 1 / 0)
        await socket.prompt("hello")
    assert socket.closed == (1011, "internal error")
    assert agent.reasons == [("dropped", 1011)]
    assert "could not be served on: ZeroDivisionError" in warned(caplog)
    await other.prompt("hello")
    assert other.words == "You said hello."


async def test_a_session_that_cannot_begin_leaves_nobody_on_a_silent_line(
    serve: Any, setup_frame: Any, caplog: Any, monkeypatch: Any
) -> None:
    server = serve(Agent())
    socket = await server.connect()
    monkeypatch.setattr(type(server.relay.desk), "choose", None)
    await socket.send(setup_frame)
    assert socket.closed == (1008, "internal error")
    assert "the session could not begin: TypeError at dispatch.py" in warned(caplog)
    assert len(server.relay.registry) == 0


async def test_a_model_of_parameters_that_fails_costs_nothing(serve: Any, setup_frame: Any, caplog: Any) -> None:
    class Broken(Agent):
        class parameters_model:
            model_validate = None

    socket = await serve(Broken()).connect()
    await socket.send(setup_frame)
    assert "plugin agent failed in parameters_model: TypeError" in warned(caplog)
    await socket.prompt("hello")
    assert socket.words == "You said hello."


async def test_a_foreign_account_is_turned_away_after_its_setup(serve: Any, setup_frame: Any, caplog: Any) -> None:
    agent = Agent()
    server = serve(agent, account_sid=ACCOUNT)
    socket = await server.connect()
    await socket.send(setup_frame | {"accountSid": "AC" + "1" * 32})
    assert socket.closed is not None
    assert socket.closed[0] == 1008
    assert "another account than TWILIO_ACCOUNT_SID" in warned(caplog)
    assert socket.frames == []
    assert len(server.relay.registry) == 0
    own = await server.connect()
    await own.send(setup_frame)
    await own.prompt("hello")
    assert own.words == "You said hello."


async def test_a_second_socket_of_a_live_call_that_does_not_agree_is_turned_away(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    server = serve(agent)
    first, second = await server.connect(), await server.connect()
    await first.send(setup_frame)
    await second.send(setup_frame | {"sessionId": "VX2"})
    assert second.closed is not None
    assert second.closed[0] == 1008
    await first.prompt("hello")
    assert first.words == "You said hello."
    assert agent.ends == []


async def test_a_second_socket_of_the_same_session_takes_over(serve: Any, setup_frame: Any) -> None:
    numbers = []

    class Numbered(Agent):
        @hookimpl
        def on_setup(self, call: Call, setup: Setup) -> None:
            numbers.append((call.session_number, [turn.text for turn in call.transcript]))

    agent = Numbered()
    server = serve(agent)
    first, second = await server.connect(), await server.connect()
    await first.send(setup_frame)
    await first.prompt("hello")
    await asyncio.sleep(5)
    await second.send(setup_frame)
    assert first.closed is not None
    assert agent.reasons == [("dropped", 1000)]
    await second.prompt("again")
    assert second.words == "You said again."
    assert numbers == [(1, []), (2, ["hello", "You said hello."])]
    assert len(server.relay.registry) == 1


async def test_a_reconnect_is_not_refused_while_the_old_socket_is_wound_up(serve: Any, setup_frame: Any) -> None:
    class Slow(Agent):
        @hookimpl
        async def on_end(self, end: SessionEnd) -> None:
            await asyncio.sleep(4)

    server = serve(Slow())
    first = await server.connect()
    await first.send(setup_frame)
    await first.disconnect(1006)
    second = await server.connect()
    await second.send(setup_frame | {"sessionId": "VX2"})
    await second.prompt("hello")
    assert second.words == "You said hello."
    await second.disconnect()


async def test_hooks_of_one_call_do_not_reach_another(serve: Any, setup_frame: Any) -> None:
    server = serve(Agent())
    sockets = [await server.connect() for _ in range(5)]
    for number, socket in enumerate(sockets):
        await socket.send(setup_frame | {"callSid": f"CA{number}"})
    await asyncio.gather(*(socket.prompt(str(number)) for number, socket in enumerate(sockets)))
    assert [socket.words for socket in sockets] == [f"You said {number}." for number in range(5)]


# --- nothing is left behind -------------------------------------------------------------------------------


def alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


async def one_call(server: Any, setup_frame: Any, number: int) -> None:
    socket = await server.connect()
    await socket.send(setup_frame | {"callSid": f"CA{number:032}", "sessionId": f"VX{number:032}"})
    await socket.prompt("slow")
    await asyncio.sleep(number % 7)
    await socket.send({"type": "interrupt", "utteranceUntilInterrupt": "0 1", "durationUntilInterruptMs": "300"})
    await socket.prompt("bye" if number % 3 == 0 else "hello")
    await asyncio.sleep(3)
    await socket.disconnect(1000 if number % 2 else 1006)
    await asyncio.wait_for(socket.task, 30)


async def test_a_hundred_calls_leave_nothing_behind(serve: Any, setup_frame: Any) -> None:
    agent = Agent()
    server = serve(agent)
    before = (alive(Call), alive(Session), len(asyncio.all_tasks()))
    for wave in range(4):
        await asyncio.gather(*(one_call(server, setup_frame, wave * 25 + number) for number in range(25)))
    server.sockets.clear()
    await asyncio.sleep(20)
    assert len(agent.ends) == 100
    assert (alive(Call), alive(Session), len(asyncio.all_tasks())) == before
