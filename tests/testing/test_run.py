"""Scripts against a server, on virtual time and over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from studio_relay.testing import (
    AsgiTransport,
    LineDelay,
    MeasuredRates,
    NetTransport,
    RelayAttributes,
    Run,
    parse_script,
    run_call,
    run_virtual,
)
from studio_relay.testing.relay import Line

GREETED = RelayAttributes.full(welcome_greeting="Hello. How can I help?")
URL = "wss://relay.example.test/relay/front"


def desk(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """A front desk that asks for a number and hands over."""
    if frame["type"] == "dtmf" and frame["digit"] == "#":
        handoff = json.dumps({"reasonCode": "person", "version": 1})
        return [{"type": "end", "handoffData": handoff}]
    if frame["type"] == "prompt" and frame["last"]:
        if "person" in frame["voicePrompt"]:
            return [{"type": "text", "token": "Which number?", "last": True}]
        return [{"type": "text", "token": "Parcels are handled by our parcel desk on floor two.", "last": True}]
    return []


def run(app: Any, script: str, **options: Any) -> Run:
    line = Line(transport=AsgiTransport(app), seed=1, rates=MeasuredRates(), line_delay=LineDelay.measured())
    return run_virtual(run_call(line, URL, parse_script(script), **{"attributes": GREETED, **options}))


WHOLE = """
steps:
  - hear: how can I help
  - say: my parcel is late
  - talk_over: {after_words: 3, say: "No. A person, please."}
  - press: "5550100007#"
expect:
  handoff: {reasonCode: person}
  hear: which number
  not_hear: floor two
  status: ended
"""


def test_a_whole_script(serve: Any) -> None:
    done = run(serve(desk), WHOLE).to_json()
    assert done["ok"], done["expectations"]
    assert list(done)[:2] == ["version", "ok"]
    assert done["handoff"] == {"reasonCode": "person", "version": 1}
    assert done["sessions"][0]["status"] == "ended"
    assert done["sessions"][0]["agent"] == "front"
    assert [(turn["who"], turn["text"]) for turn in done["transcript"]] == [
        ("agent", "Hello. How can I help?"),
        ("caller", "my parcel is late"),
        ("agent", "Parcels are handled"),
        ("caller", "No. A person, please."),
        ("agent", "Which number?"),
        ("caller", ""),
    ]
    assert done["transcript"][-1]["digits"] == "5550100007#"
    assert done["transcript"][2]["sent"].endswith("floor two.")
    assert done["timings"]["first_word_ms"] == [330, 330]
    assert json.loads(json.dumps(done)) == done


def test_twice_is_the_same(serve: Any) -> None:
    assert run(serve(desk), WHOLE).to_json() == run(serve(desk), WHOLE).to_json()


def test_what_was_not_heard_fails_with_its_line(serve: Any) -> None:
    done = run(serve(desk), "steps:\n  - hear: guten tag\n  - say: never said\ntimeout: 4")
    assert not done.ok
    failed = done.to_json()["expectations"][0]
    assert (failed["line"], failed["expected"], failed["found"]) == (2, "guten tag", "hello. how can i help?")
    assert done.sessions[0].outcome.status == "completed"


def test_wrong_expectations_show_what_was_found(serve: Any) -> None:
    done = run(serve(desk), "steps: [hang_up]\nexpect:\n  status: failed\n  hear: nonsense")
    assert [(c.ok, c.found) for c in done.checks] == [(False, "completed"), (False, "nothing")]


def test_after_the_last_step_the_caller_is_silent_and_hangs_up(serve: Any) -> None:
    done = run(serve(desk), "steps:\n  - hear: help\ntimeout: 20\nexpect: {status: completed}")
    assert done.ok
    assert done.timings.longest_silence_ms >= 20_000


def test_steps_that_were_never_reached_are_told(serve: Any) -> None:
    done = run(serve(lambda f: [{"type": "end"}]), "steps:\n  - say: hello\n  - hear: hello")
    assert not done.ok
    assert any("line 2: `say` was never reached" in warning["message"] for warning in done.warnings)


@pytest.mark.parametrize(("step", "status"), [("hang_up", "completed"), ("drop_socket", "failed")])
def test_ways_to_leave(serve: Any, step: str, status: str) -> None:
    done = run(serve(desk), f"steps:\n  - hear: help\n  - {step}\nexpect: {{status: {status}}}")
    assert done.ok
    assert done.handoff is None


def test_junk_on_the_wire_reaches_the_server(serve: Any) -> None:
    app = serve(desk)
    assert run(app, 'steps:\n  - send_raw: \'{"type":"odd"}\'\n  - hang_up').ok
    assert {"type": "odd"} in app.frames


def test_an_action_that_asks_for_another_relay_gets_it(serve: Any) -> None:
    again = f'<Response><Connect><ConversationRelay url="{URL}"/></Connect></Response>'
    app = serve(lambda f: [], action=again)
    greeted = RelayAttributes.full(action_url="https://relay.example.test/connect-action")
    done = run(app, "steps:\n  - drop_socket\n  - say: are you there\n  - hang_up", attributes=greeted)
    setups = [frame for frame in app.frames if frame["type"] == "setup"]
    assert [session.outcome.status for session in done.sessions] == ["failed", "completed"]
    assert setups[0]["callSid"] == setups[1]["callSid"]
    assert setups[0]["sessionId"] != setups[1]["sessionId"]
    assert setups[1]["callStatus"] == "IN_PROGRESS"


async def test_the_same_over_a_real_socket(serve: Any) -> None:
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(serve(desk), log_level="error", lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(30):
            line = Line(transport=NetTransport(f"http://127.0.0.1:{port}"))
            done = await run_call(line, URL, parse_script(WHOLE), attributes=GREETED, speed=20)
    finally:
        server.should_exit = True
        await serving
    assert [(check.expect, check.ok, check.found) for check in done.checks if not check.ok] == []
    assert done.clock == "real"


def player(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Plays music, speaks, and sends keys that nobody will hear."""
    if frame["type"] != "setup":
        return []
    music = {"type": "play", "source": "https://media.example.com/hold.mp3"}
    speech = {"type": "text", "token": "Here we go, and there is a lot to say about it.", "last": True}
    return [music, speech, {"type": "sendDigits", "digits": "12#"}, {**music, "source": "https://example.com/b.mp3"}]


def test_a_script_says_how_long_media_takes(serve: Any) -> None:
    script = "media: {'https://media.example.com/hold.mp3': 12s}\nsteps: [hear: here we go, hang_up]"
    done = run(serve(player), script, attributes=RelayAttributes.full())
    music, speech, *_ = (turn for turn in done.transcript if turn.who == "agent")
    assert music.text == "[https://media.example.com/hold.mp3]"
    assert speech.at_ms - music.at_ms == 12_000


def test_keys_and_media_that_were_never_played_are_no_turns(serve: Any) -> None:
    done = run(serve(player), "steps: [{talk_over: {after_ms: 3500, say: Stop}}]", attributes=RelayAttributes.full())
    shown = [(turn.who, turn.text, turn.digits) for turn in done.transcript]
    assert ("caller", "Stop", None) in shown
    assert "12#" not in [digits for _, _, digits in shown]
    assert "[https://example.com/b.mp3]" not in [text for _, text, _ in shown]
