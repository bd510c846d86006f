"""A simulated call over ASGI on virtual time: order of frames, ways to end, what is signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from studio_relay.studio.outside import RelayOutcome
from studio_relay.testing import AsgiTransport, Identity, RelayAttributes, SimulatedCall, run_virtual

GREETING = "Hello. How can I help?"
ACTION = "https://relay.example.test/connect-action"
URL = "wss://relay.example.test/relay"
Act = Callable[[SimulatedCall], Awaitable[None]]


def play(app: Any, act: Act, *, url: str = URL, **attributes: Any) -> tuple[SimulatedCall, RelayOutcome]:
    """Run one call to its end on virtual time."""

    async def main() -> tuple[SimulatedCall, RelayOutcome]:
        wanted = RelayAttributes.full(**{"welcome_greeting": GREETING, "action_url": ACTION, **attributes})
        call = SimulatedCall(
            AsgiTransport(app),
            url,
            attributes=wanted,
            identity=Identity.fresh(1),
            session_id="VX1",
            auth_token="studio_relay_test_token",
        )
        await call.start()
        await act(call)
        outcome = await call.finished()
        await call.aclose()
        return call, outcome

    return run_virtual(main(), limit_seconds=3600)


def shapes(call: SimulatedCall) -> list[str]:
    """The frames from Twilio in short."""
    return [_shape(line["frame"]) for line in call.log if line["dir"] == "in" and "frame" in line]


def _shape(frame: dict[str, Any]) -> str:
    match frame["type"]:
        case "info":
            return f"{frame['name']} {frame['value']}"
        case "prompt":
            return f"prompt{'!' if frame['last'] else ''} {frame['voicePrompt']}"
        case "dtmf":
            return f"dtmf {frame['digit']}"
        case "interrupt":
            return f"interrupt {frame['utteranceUntilInterrupt']}"
    return str(frame["type"])


async def quiet(call: SimulatedCall, seconds: float = 5) -> None:
    await call.silence(seconds)


def test_setup_comes_first_with_thirteen_keys_then_the_greeting(serve: Any) -> None:
    app = serve(lambda frame: [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        call.hang_up()

    call, outcome = play(app, act, parameters={"tier": "gold"})
    assert shapes(call) == ["setup", "agentSpeaking on", f"tokensPlayed {GREETING}", "agentSpeaking off"]
    assert len(app.frames[0]) == 13
    assert app.frames[0]["customParameters"] == {"tier": "gold"}
    assert (outcome.status, outcome.close_code) == ("completed", 1000)
    assert app.closed == [1000]
    assert app.forms[0]["SessionStatus"] == app.forms[0]["CallStatus"] == "completed"


def test_the_upgrade_is_signed_over_the_wss_url(serve: Any) -> None:
    app = serve(lambda frame: [])

    async def act(call: SimulatedCall) -> None:
        call.hang_up()

    play(app, act, url="wss://relay.example.com/ws/voice")
    headers = dict(app.scopes[0]["headers"])
    assert headers[b"x-twilio-signature"] == b"8eiQXd6+/9tA5dw95qUwI47j0Gs="


def test_a_spoken_barge_in_has_the_recorded_order(serve: Any, say: Any) -> None:
    app = serve(lambda f: say("One two three four five six seven eight.") if f["type"] == "setup" else [])

    async def act(call: SimulatedCall) -> None:
        assert await call.talk_over("Stop it.", after_words=3)
        await quiet(call)
        call.hang_up()

    call, _ = play(app, act, welcome_greeting="")
    assert shapes(call)[1:] == [
        "agentSpeaking on",
        "clientSpeaking on",
        "tokensPlayed One two three",
        "interrupt One two three",
        "prompt Stop",
        "agentSpeaking off",
        "prompt Stop it",
        "prompt Stop it.",
        "clientSpeaking off",
        "prompt! Stop it.",
    ]
    turn = call.transcript()[0]
    assert (turn.text, turn.sent) == ("One two three", "One two three four five six seven eight.")


def test_a_key_is_reported_before_it_interrupts_and_its_answer_is_spoken(serve: Any, say: Any) -> None:
    app = serve(lambda f: say("Key 9.") if f["type"] == "dtmf" else [])

    async def act(call: SimulatedCall) -> None:
        await call.wait_until(lambda: call.end.playback.speaking, timeout_ms=5000)
        await call.press("9")
        await quiet(call)
        call.hang_up()

    call, _ = play(app, act)
    assert shapes(call)[1:] == [
        "agentSpeaking on",
        "dtmf 9",
        "tokensPlayed Hello.",
        "interrupt Hello.",
        "agentSpeaking off",
        "agentSpeaking on",
        "tokensPlayed Key 9.",
        "agentSpeaking off",
    ]


def test_ten_bad_messages_close_with_1007_and_fail_as_a_drop(serve: Any) -> None:
    app = serve(lambda f: [f"bad #{n}" for n in range(10)] if f["type"] == "setup" else [])
    call, outcome = play(app, lambda call: quiet(call, 0))
    assert shapes(call).count("error") == 10
    assert app.frames[1]["description"] == "Invalid message received, code: 64107, bad #0"
    assert app.closed == [1007]
    assert (outcome.status, outcome.error_code, outcome.error_message) == ("failed", "64105", "Websocket ended")
    assert app.forms[0]["CallStatus"] == "in-progress"


@pytest.mark.parametrize("count", [1, 9])
def test_fewer_bad_messages_close_nothing(serve: Any, count: int) -> None:
    app = serve(lambda f: [f"bad #{n}" for n in range(count)] if f["type"] == "setup" else [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        call.hang_up()

    call, outcome = play(app, act)
    assert shapes(call).count("error") == count
    assert (outcome.status, outcome.close_code) == ("completed", 1000)


def test_a_good_message_resets_the_count(serve: Any) -> None:
    burst = ["bad"] * 9 + [{"type": "text", "token": "Fine.", "last": True}] + ["bad"] * 9 + [{"type": "end"}]
    app = serve(lambda f: burst if f["type"] == "setup" else [])
    _, outcome = play(app, lambda call: quiet(call, 0))
    assert outcome.status == "ended"


def test_end_closes_at_once_and_hands_over_verbatim(serve: Any, say: Any) -> None:
    data = '{"reasonCode": "person"}'
    app = serve(
        lambda f: (
            [*say("Good bye."), {"type": "end", "handoffData": data}, *say("Late.")]
            if f["type"] == "prompt" and f["last"]
            else []
        )
    )

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        call.say("Bye")

    call, outcome = play(app, act)
    assert (outcome.status, outcome.handoff_data, outcome.close_code) == ("ended", data, 1000)
    assert app.forms[0]["HandoffData"] == data
    assert len(call.end.after_end) == 1
    assert "Good bye." not in call.heard()
    assert "2 words: wait until the last one was played" in call.end.lessons[0]


def test_a_dropped_socket_is_1006_on_both_sides_and_fails(serve: Any) -> None:
    app = serve(lambda f: [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        await call.drop_socket()

    _, outcome = play(app, act)
    assert app.closed == [1006]
    assert (outcome.status, outcome.error_code, outcome.close_code) == ("failed", "64105", 1006)


def test_a_server_that_leaves_is_a_drop(serve: Any) -> None:
    app = serve(lambda f: [None])
    _, outcome = play(app, lambda call: quiet(call, 0))
    assert (outcome.status, outcome.error_code) == ("failed", "64105")


def test_a_refused_upgrade_fails_with_64102(serve: Any) -> None:
    app = serve(lambda f: [], refuse=403)
    call, outcome = play(app, lambda call: quiet(call, 0))
    assert (outcome.status, outcome.error_code, outcome.close_code) == ("failed", "64102", None)
    assert "403" in str(call.refusal)
    assert "not you" in str(call.refusal)
    assert app.frames == []


def test_keys_are_kept_from_a_server_that_did_not_ask_for_them(serve: Any) -> None:
    app = serve(lambda f: [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        await call.press("1")
        call.hang_up()

    call, _ = play(app, act, dtmf_detection=False)
    assert "dtmf" not in {frame["type"] for frame in app.frames}
    assert "dtmfDetection is off" in call.end.lessons[0]


@pytest.mark.parametrize(("report", "heard"), [("none", []), ("speech", ["Hello"]), ("dtmf", [])])
def test_speech_over_uninterruptible_speech_is_kept_back_unless_asked_for(
    serve: Any, say: Any, report: str, heard: list[str]
) -> None:
    words = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."
    app = serve(lambda f: say(words, interruptible=False) if f["type"] == "setup" else [])

    async def act(call: SimulatedCall) -> None:
        await call.talk_over("Hello", after_ms=300)
        await quiet(call, 8)
        call.hang_up()

    call, _ = play(app, act, welcome_greeting="", report_input_during_agent_speech=report)
    assert [f["voicePrompt"] for f in app.frames if f["type"] == "prompt" and f["last"]] == heard
    assert "interrupt" not in {frame["type"] for frame in app.frames}
    assert call.heard() == words


def test_without_events_and_partials_only_the_bare_protocol_is_sent(serve: Any, say: Any) -> None:
    app = serve(lambda f: say("One two three four five six.") if f["type"] == "setup" else [])

    async def act(call: SimulatedCall) -> None:
        await call.talk_over("Stop it.", after_words=2)
        await quiet(call)
        call.hang_up()

    call, _ = play(app, act, welcome_greeting="", speaker_events=False, tokens_played=False, partial_prompts=False)
    assert shapes(call) == ["setup", "interrupt One two", "prompt! Stop it."]
    assert call.heard() == "One two"


def test_hanging_up_in_mid_sentence_reports_the_partial_if_asked_for(serve: Any) -> None:
    app = serve(lambda f: [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        call.say("I wanted to ask")
        await call.silence(0.6)
        call.hang_up()

    call, _ = play(app, act, partial_prompt_on_hangup=True)
    assert shapes(call)[-1] == "prompt! I wanted to"


def test_a_reconnect_is_a_second_socket_of_the_same_session_and_replays(serve: Any) -> None:
    app = serve(lambda f: [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        await call.drop_socket()
        await call.press("5")
        await quiet(call)
        call.hang_up()

    _, outcome = play(app, act, application_reconnect=True)
    setups = [index for index, frame in enumerate(app.frames) if frame["type"] == "setup"]
    assert len(setups) == 2
    assert app.frames[setups[1]]["sessionId"] == app.frames[0]["sessionId"]
    assert app.frames[setups[1] + 1] == {"type": "dtmf", "digit": "5"}
    assert outcome.status == "completed"


def test_languages_win_in_their_order(serve: Any) -> None:
    sent = [
        {"type": "text", "token": "A.", "last": True},
        {"type": "language", "ttsLanguage": "fr-FR", "transcriptionLanguage": "de-DE"},
        {"type": "text", "token": "B.", "last": True},
        {"type": "text", "token": "C.", "last": True, "lang": "es-ES"},
    ]
    app = serve(lambda f: sent if f["type"] == "setup" else [])

    async def act(call: SimulatedCall) -> None:
        await quiet(call)
        call.say("Ja")
        await quiet(call)
        call.hang_up()

    call, _ = play(app, act, welcome_greeting="", language="en-US", tts_language="sv-SE")
    assert [item.lang for item in call.end.playback.utterances] == ["sv-SE", "fr-FR", "es-ES"]
    assert app.frames[-1]["lang"] == "de-DE"


def test_a_backchannel_interrupts_nothing_when_ignored(serve: Any, say: Any) -> None:
    app = serve(lambda f: say("One two three four five six.") if f["type"] == "setup" else [])

    async def act(call: SimulatedCall) -> None:
        await call.talk_over("uh-huh", after_words=2)
        await quiet(call)
        call.hang_up()

    call, _ = play(app, act, welcome_greeting="", ignore_backchannel=True)
    assert call.heard() == "One two three four five six."


def test_the_same_call_gives_the_same_frames(serve: Any, say: Any) -> None:
    async def act(call: SimulatedCall) -> None:
        await call.talk_over("Stop it.", after_words=2)
        await call.press("12#")
        await quiet(call)
        call.hang_up()

    logs = [play(serve(lambda f: say("Hello there my friend.")), act)[0].log for _ in range(2)]
    assert logs[0] == logs[1]
