"""`/connect-action`: every end of a session, every error code, repeats, and what no caller must suffer from."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from studio_relay import hookimpl
from studio_relay.errors import StoreError
from studio_relay.server.failures import FAILURES
from studio_relay.settings import FAREWELLS
from studio_relay.store import MemoryStore
from studio_relay.testing.signing import sign_upgrade

pytestmark = pytest.mark.looptime

ACCOUNT = "AC" + "0" * 32
HOME = f"https://webhooks.twilio.com/v1/Accounts/{ACCOUNT}/Flows/FW{'0' * 32}"
WITH_HOME = f"return={quote(HOME, safe='')}"
HANDOFF = '{"reasonCode":"person","version":1,"summary":"Ünglück & <so weiter>"}'
SESSION = "VX00000000000000000000000000000001"
MOVED = '{"reasonCode":"relay-draining","version":1,"summary":""}'


class Agent:
    relay: ClassVar[dict[str, Any]] = {
        "voice": "en-US-Journey-O",
        "welcome_greeting": "Hello",
        "speech_model": "nova-3-general",
        "languages": [{"code": "es-ES", "speech_model": "nova-2-general"}],
    }

    @hookimpl
    def on_prompt(self) -> str:
        return "Yes."


def ended(**fields: str) -> dict[str, str]:
    return {"SessionId": SESSION, "SessionStatus": "ended", "SessionDuration": "8"} | fields


def failed(code: str = "64105", **fields: str) -> dict[str, str]:
    error = {"ErrorCode": code, "ErrorMessage": "Websocket ended"} if code else {}
    return {"SessionId": SESSION, "SessionStatus": "failed", "SessionDuration": "1"} | error | fields


def said(url: str) -> dict[str, str]:
    """The query of a URL, names that stand twice refused."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


# --- ended ------------------------------------------------------------------------------------------------


async def test_ended_goes_home_with_the_handoff(web: Any) -> None:
    reply = await web(Agent()).post(f"/connect-action?{WITH_HOME}", **ended(HandoffData=HANDOFF))
    assert (reply.status, reply.outcome, reply.verbs) == (200, "home", ["Redirect"])
    assert reply.home.startswith(HOME + "?")
    assert said(reply.home) == {"FlowEvent": "return", "SessionStatus": "ended", "HandoffData": HANDOFF}


async def test_ended_without_a_handoff_goes_home_without_one(web: Any) -> None:
    reply = await web(Agent()).post(f"/connect-action?{WITH_HOME}", **ended())
    assert said(reply.home) == {"FlowEvent": "return", "SessionStatus": "ended"}


async def test_what_the_way_home_says_itself_is_kept_but_not_twice(web: Any) -> None:
    home = f"{HOME}?FlowEvent=return&HandoffData=old&x=%26"
    reply = await web(Agent()).post(f"/connect-action?return={quote(home, safe='')}", **ended(HandoffData="new"))
    assert said(reply.home) == {"x": "&", "FlowEvent": "return", "SessionStatus": "ended", "HandoffData": "new"}


async def test_ended_goes_on_to_the_configured_twiml_or_hangs_up(web: Any) -> None:
    after = "https://example.com/after?x=1"
    reply = await web(Agent(), after_end_url=after).post("/connect-action", **ended(HandoffData=HANDOFF))
    assert (reply.outcome, reply.home) == ("after-end", after)
    reply = await web(Agent()).post("/connect-action", **ended(HandoffData=HANDOFF))
    assert (reply.status, reply.outcome, reply.verbs) == (200, "hang-up", ["Hangup"])


async def test_completed_is_204(web: Any) -> None:
    fields = ended(SessionStatus="completed", CallStatus="completed")
    for path in ("/connect-action", f"/connect-action/echo?{WITH_HOME}"):
        reply = await web(Agent()).post(path, **fields)
        assert (reply.status, reply.text, reply.outcome) == (204, "", "hung-up")


async def test_get_and_json_are_answered_as_a_form(web: Any) -> None:
    server = web(Agent())
    fields = ended(HandoffData=HANDOFF)
    by_get = await server.get(f"/connect-action?{WITH_HOME}&tier=gold", **fields)
    by_json = await server.json(f"/connect-action?{WITH_HOME}", json.dumps(fields | {"CallSid": "CA2"}).encode())
    assert (
        said(by_get.home)
        == said(by_json.home)
        == {
            "FlowEvent": "return",
            "SessionStatus": "ended",
            "HandoffData": HANDOFF,
        }
    )


async def test_a_json_body_may_hold_what_is_no_text(web: Any) -> None:
    body = {"SessionStatus": "ended", "HandoffData": {"reasonCode": "person"}, "SessionDuration": 8, "ErrorCode": None}
    reply = await web(Agent()).json(f"/connect-action?{WITH_HOME}", json.dumps(body | {"AccountSid": ACCOUNT}).encode())
    assert said(reply.home)["HandoffData"] == '{"reasonCode":"person"}'


async def test_half_a_character_costs_nobody_the_way_home(web: Any, tmp_path: Any) -> None:
    body = {
        "AccountSid": ACCOUNT,
        "CallSid": "CA1",
        "SessionStatus": "ended",
        "HandoffData": "\ud800 words",
        "\udfff": "x",
    }
    server = web(Agent(), record_dir=tmp_path)
    reply = await server.json(f"/connect-action?{WITH_HOME}", json.dumps(body).encode())
    assert (reply.outcome, said(reply.home)["HandoffData"]) == ("home", "? words")


# --- failed -----------------------------------------------------------------------------------------------


async def test_a_lost_session_is_connected_again_without_a_greeting(web: Any) -> None:
    reply = await web(Agent()).post(f"/connect-action/agent?{WITH_HOME}&tier=gold", **failed())
    assert (reply.outcome, reply.relay.get("url")) == ("reconnect", "wss://relay.example.com/relay/agent")
    assert reply.relay.get("welcomeGreeting") is None
    assert reply.relay.get("voice") == "en-US-Journey-O"
    assert reply.parameters["tier"] == "gold"
    assert said(reply.action) == {"return": HOME, "tier": "gold", "relay-reconnects": "1"}
    assert urlsplit(reply.action).path == "/connect-action/agent"


async def until_given_up(server: Any, query: str, code: str) -> list[Any]:
    """Every session fails in the same way, until no further one is begun."""
    replies = []
    path = f"/connect-action?{query}".rstrip("?")
    for number in range(10):
        replies.append(await server.post(path, **failed(code, SessionId=f"VX{number}")))
        if "Connect" not in replies[-1].verbs:
            return replies
        path = replies[-1].action
    raise AssertionError("it goes on for ever")


REACTIONS = {"reconnect": 2, "recogniser": 2, "once": 1, "minimal": 1, "give-up": 0}


@pytest.mark.parametrize("code", FAILURES)
async def test_every_code_has_its_reaction_its_bound_and_its_words(web: Any, code: str, caplog: Any) -> None:
    replies = await until_given_up(web(Agent()), "", code)
    assert len(replies) - 1 == REACTIONS[FAILURES[code].reaction]
    greetings = [reply.relay.get("welcomeGreeting") for reply in replies[:-1]]
    assert greetings[1:] == [None] * len(greetings[1:])
    assert greetings[:1] in ([], ["Hello" if FAILURES[code].unheard_within else None])
    assert (replies[-1].outcome, replies[-1].verbs) == ("apology", ["Say", "Hangup"])
    assert replies[-1].root.findtext("Say") == FAREWELLS["en"]
    lines = [record.getMessage() for record in caplog.records if "session failed" in record.getMessage()]
    assert len(lines) == len(replies)
    assert all(f"code {code or 'none'}: {FAILURES[code].what}; " in line for line in lines)
    assert all(line.endswith(f"To do: {FAILURES[code].advice}") for line in lines)


@pytest.mark.parametrize("code", [*FAILURES, "64199", "nonsense"])
async def test_in_the_end_a_flow_has_the_call_back(web: Any, code: str) -> None:
    last = (await until_given_up(web(Agent()), WITH_HOME, code))[-1]
    assert (last.verbs, said(last.home)) == (["Redirect"], {"FlowEvent": "return", "SessionStatus": "failed"})


@pytest.mark.parametrize(("limit", "times"), [(0, 0), (1, 1), (2, 2), (5, 5)])
async def test_the_bound_is_a_setting(web: Any, limit: int, times: int) -> None:
    assert len(await until_given_up(web(Agent(), max_reconnects=limit), "", "64105")) == times + 1


@pytest.mark.parametrize("code", ["64101", "64106"])
async def test_what_twilio_refused_is_not_sent_again(web: Any, code: str) -> None:
    reply = await web(Agent()).post("/connect-action?language=es-ES", **failed(code))
    bare = {"url": "wss://relay.example.com/relay", "language": "es-ES"}
    assert reply.relay.attrib == bare | {"welcomeGreeting": "Hello"}
    assert set(reply.parameters) == {"language", "ticket"}
    after = await web(Agent()).post(reply.action, **failed("64105", SessionId="VX2"))
    assert after.relay.attrib == bare


async def test_who_never_heard_the_greeting_is_greeted_once_the_session_begins(web: Any) -> None:
    server = web(Agent())
    first = await server.post("/connect-action", **failed("64102"))
    assert first.relay.get("welcomeGreeting") == "Hello"
    lost = await server.post(first.action, **failed("64105", SessionId="VX2"))
    assert lost.relay.get("welcomeGreeting") is None
    moved = await server.post("/connect-action?relay-moves=1", **failed("64102", SessionId="VX3"))
    assert moved.relay.get("welcomeGreeting") is None


async def test_a_session_that_lasted_has_greeted_whatever_it_failed_of(web: Any) -> None:
    server = web(Agent())
    for code, greeting in (("64101", None), ("64106", None), ("64102", "Hello")):  # 64102: it never began
        reply = await server.post("/connect-action", **failed(code, SessionId=f"VX{code}", SessionDuration="30"))
        assert (reply.outcome, reply.relay.get("welcomeGreeting")) == ("reconnect", greeting)


async def test_another_recogniser_is_tried_and_kept(web: Any) -> None:
    server = web(Agent())
    reply = await server.post("/connect-action", **failed("64114"))
    assert reply.relay.get("transcriptionProvider") == "Google"
    assert reply.relay.get("speechModel") is None
    assert reply.relay.find("Language").attrib == {"code": "es-ES"}
    after = await server.post(reply.action, **failed("64105", SessionId="VX2"))
    assert after.relay.get("transcriptionProvider") == "Google"
    back = await server.post(reply.action, **failed("64114", SessionId="VX3"))
    assert back.relay.get("transcriptionProvider") == "Deepgram"


async def test_who_understands_many_languages_has_no_stand_in(web: Any) -> None:
    server = web(Agent(), twiml={})
    reply = await server.post("/connect-action/echo?language=multi", **failed("64114"))
    assert reply.relay.get("transcriptionProvider") == "Deepgram"


async def test_a_caller_who_is_gone_needs_nothing(web: Any, caplog: Any) -> None:
    for status in ("completed", "busy", "no-answer", "canceled", "failed"):
        reply = await web(Agent()).post(f"/connect-action?{WITH_HOME}", **failed(CallStatus=status))
        assert (reply.status, reply.outcome) == (204, "failed-and-gone")
    assert "the caller is gone" in caplog.text


async def test_a_code_nobody_knows_is_answered_as_an_end_with_words_before_a_hang_up(web: Any, caplog: Any) -> None:
    reply = await web(Agent()).post("/connect-action", **failed("64199"))
    assert reply.verbs == ["Say", "Hangup"]
    after = "https://example.com/after"
    reply = await web(Agent(), after_end_url=after).post("/connect-action", **failed("64199"))
    assert (reply.outcome, reply.home) == ("after-end", after)
    assert "code 64199: an error code that this version does not know" in caplog.text


@pytest.mark.parametrize("text", ["\n64105x", "6" * 500, "<script>", "０", "+15550109999", "15550109999", "Ada Byron"])
async def test_what_may_be_anything_reaches_no_log_line(web: Any, text: str, caplog: Any) -> None:
    server = web(Agent())
    assert (await server.post("/connect-action", **failed(text))).status == 200
    assert (await server.post("/connect-action", **ended(SessionStatus=text))).status == 200
    assert "code something else: an error code that this version does not know" in caplog.text
    assert "expected SessionStatus ended, completed or failed, found something else" in caplog.text
    assert not any(text.strip().lower() in record.getMessage().lower() for record in caplog.records)


@pytest.mark.parametrize(
    ("language", "words", "spoken_in"),
    [
        ("es-ES", FAREWELLS["es"], "es-ES"),
        ("de", FAREWELLS["de"], "de-DE"),
        ("nl-NL", FAREWELLS["en"], "en-US"),
        ("", FAREWELLS["en"], "en-US"),
        ("fr-CA", FAREWELLS["fr"], "fr-CA"),
    ],
)
async def test_the_apology_is_in_the_callers_language(web: Any, language: str, words: str, spoken_in: str) -> None:
    reply = await web(Agent()).post(f"/connect-action?language={language}", **failed("64108"))
    assert (reply.root.findtext("Say"), reply.root.find("Say").get("language")) == (words, spoken_in)


async def test_the_apology_is_the_configured_one(web: Any) -> None:
    server = web(Agent(), apology="Sorry & bye.", apologies={"nl": "Het spijt ons."})
    reply = await server.post("/connect-action", **failed("64108"))
    assert reply.root.findtext("Say") == "Sorry & bye."
    reply = await server.post("/connect-action?language=nl-NL", **failed("64108", SessionId="VX2"))
    assert (reply.root.findtext("Say"), reply.root.find("Say").get("language")) == ("Het spijt ons.", "nl-NL")


# --- a server that leaves ---------------------------------------------------------------------------------


async def test_a_call_whose_server_leaves_is_connected_to_another_one(web: Any) -> None:
    server = web(Agent())
    path, moves = f"/connect-action?{WITH_HOME}", 0
    while moves < 20:
        reply = await server.post(path, **ended(HandoffData=MOVED, SessionId=f"VX{moves}"))
        if reply.outcome != "moved":
            break
        assert reply.relay.get("welcomeGreeting") is None
        path, moves = reply.action, moves + 1
    assert moves == 10
    assert said(reply.home)["HandoffData"] == MOVED
    reply = await server.post("/connect-action?relay-moves=10", **ended(HandoffData=MOVED, SessionId="VX99"))
    assert reply.verbs == ["Say", "Hangup"]


async def test_a_reconnect_says_how_many_sessions_came_before(web: Any) -> None:
    server = web(Agent(), max_reconnects=9)
    first = await server.post("/voice")
    assert "relay-earlier-sessions" not in first.parameters
    again = await server.post("/connect-action?relay-moves=1&relay-reconnects=2", **failed("64105"))
    assert again.parameters["relay-earlier-sessions"] == "4"
    moved = await server.post("/connect-action?relay-earlier-sessions=7", **ended(HandoffData=MOVED, CallSid="CA2"))
    assert moved.parameters["relay-earlier-sessions"] == "1"
    unheard = await server.post("/connect-action", **failed("64102", CallSid="CA3"))
    assert "relay-earlier-sessions" not in unheard.parameters, "its greeting is still to be heard"


async def test_moves_use_up_no_reconnects(web: Any) -> None:
    reply = await web(Agent()).post("/connect-action?relay-reconnects=2", **ended(HandoffData=MOVED))
    assert said(reply.action) == {"relay-reconnects": "2", "relay-moves": "1"}


@pytest.mark.parametrize("handoff", ["relay-draining", "[]", '"relay-draining"', "{", "[" * 9999, '{"reasonCode":[]}'])
async def test_only_a_servers_own_handoff_moves_a_call(web: Any, handoff: str) -> None:
    reply = await web(Agent()).post(f"/connect-action?{WITH_HOME}", **ended(HandoffData=handoff))
    assert said(reply.home)["HandoffData"] == handoff


# --- late, twice, elsewhere -------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [ended(HandoffData=HANDOFF), failed(), failed("64108"), failed("64199")])
async def test_a_repeat_gets_the_same_twiml_also_from_another_process(web: Any, fields: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, logger="studio_relay")
    store = MemoryStore()
    one, other = web(Agent(), store=store), web(Agent(), store=store)
    first = await one.post("/connect-action", **fields)
    told = caplog.text.count("session over") + caplog.text.count("session failed")
    for server in (one, other, one):
        assert (await server.post("/connect-action", **fields)).text == first.text
    assert caplog.text.count("session over") + caplog.text.count("session failed") == told
    assert caplog.text.count("the same callback again") == 3


async def test_repeats_at_the_same_moment_are_one(web: Any, caplog: Any) -> None:
    class Slow(MemoryStore):
        async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
            await asyncio.sleep(0.5)
            await super().put(key, value, ttl)

    server = web(Agent(), store=Slow())
    replies = await asyncio.gather(*(server.post("/connect-action", **failed()) for _ in range(5)))
    assert len({reply.text for reply in replies}) == 1
    assert caplog.text.count("session failed") == 1


async def test_another_session_or_status_is_no_repeat(web: Any) -> None:
    server = web(Agent())
    texts = [
        (await server.post("/connect-action", **failed())).text,
        (await server.post("/connect-action", **failed(SessionId="VX2"))).text,
        (await server.post("/connect-action", **failed(CallSid="CA2"))).text,
        (await server.post("/connect-action", **ended())).text,
    ]
    assert len(set(texts)) == 4


async def test_after_a_quarter_of_an_hour_a_repeat_is_answered_anew_with_the_same_meaning(web: Any) -> None:
    now = [1_000_000.0]
    server = web(Agent(), store=MemoryStore(clock=lambda: now[0]))
    first = await server.post("/connect-action", **failed())
    now[0] += 14 * 60
    assert (await server.post("/connect-action", **failed())).text == first.text
    now[0] += 2 * 60
    again = await server.post("/connect-action", **failed())
    assert again.text != first.text  # another ticket
    assert again.action == first.action


class Gone(MemoryStore):
    """A store that is gone: it raises, or never answers."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    async def _fail(self) -> None:
        if self.fault == "hangs":
            await asyncio.Event().wait()
        raise StoreError("disk full") if self.fault == "full" else ValueError("the words of a caller")

    async def get(self, key: str) -> dict[str, Any] | None:
        await self._fail()
        return None

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        await self._fail()


@pytest.mark.parametrize("fault", ["full", "strange", "hangs"])
async def test_without_the_store_every_end_is_answered_in_time(web: Any, fault: str, caplog: Any) -> None:
    server = web(Agent(), store=Gone(fault))
    began = asyncio.get_running_loop().time()
    assert (await server.post("/voice")).outcome == "connect"
    assert (await server.post("/connect-action", **ended())).outcome == "hang-up"
    assert asyncio.get_running_loop().time() - began < 2.5
    assert len(await until_given_up(server, "", "64105")) == 3
    assert "the words of a caller" not in caplog.text
    assert "whether this callback came before cannot be told" in caplog.text


@pytest.mark.parametrize(
    "kept", [{"something": "else"}, {"outcome": "home", "twiml": 7}, {"outcome": 7, "twiml": None}, {"outcome": "home"}]
)
async def test_what_is_kept_is_not_trusted_blindly(web: Any, kept: Any, caplog: Any) -> None:
    store = MemoryStore()
    key = f"callback:CA00000000000000000000000000000001:{SESSION}:'ended'"
    await store.put(key, kept, 60)
    assert (await web(Agent(), store=store).post("/connect-action", **ended())).outcome == "hang-up"
    assert "the session store holds another kind of answer" in caplog.text


async def test_a_callback_that_comes_before_the_socket_closes_makes_room_for_the_next(
    web: Any, setup_frame: Any
) -> None:
    ends: list[str] = []

    class Ending(Agent):
        @hookimpl
        def on_end(self, end: Any) -> None:
            ends.append(end.reason)

    server = web(Ending())
    line = server.server
    headers = {"host": "relay.example.com"} | sign_upgrade("wss://relay.example.com/relay", server.token)
    socket = await line.connect(headers=headers)
    await socket.send(setup_frame)
    reply = await server.post("/connect-action", **failed(SessionId=setup_frame["sessionId"]))
    await socket.settle()
    assert ends == ["dropped"]
    again = await line.connect(headers=headers)
    ticket = {"ticket": reply.parameters["ticket"]}
    await again.send(setup_frame | {"sessionId": "VX2", "customParameters": ticket})
    await again.prompt("hello")
    assert again.words == "Yes."


# --- what is wrong with a callback ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named", "outcome"),
    [
        ({"SessionStatus": ""}, "found nothing", "home"),
        ({"SessionStatus": "exploded"}, "found 'exploded'", "home"),
        ({"SessionStatus": "ENDED"}, "", "home"),
        ({"CallSid": ""}, "CallSid is missing", "home"),
        ({"SessionId": "VX 1"}, "SessionId is no id", "home"),
        ({"SessionId": "x" * 100_000}, "SessionId is no id", "home"),
        ({"CallStatus": ""}, "", "home"),
        ({"HandoffData": "\x00\ud7ff"}, "", "home"),
    ],
)
async def test_odd_fields_are_named_and_answered_as_an_end(
    web: Any, fields: Any, named: str, outcome: str, caplog: Any
) -> None:
    reply = await web(Agent()).post(f"/connect-action?{WITH_HOME}", **(ended() | fields))
    assert (reply.status, reply.outcome) == (200, outcome)
    assert named in caplog.text
    assert len(said(reply.home)["SessionStatus"]) <= 40


async def test_a_field_that_stands_twice_counts_only_if_it_says_one_thing(web: Any, caplog: Any) -> None:
    server = web(Agent())
    usual = [("AccountSid", ACCOUNT), ("CallSid", "CA1"), ("SessionId", "VX1")]
    same = [*usual, ("SessionStatus", "completed"), ("SessionStatus", "completed")]
    assert (await server.form("/connect-action", same)).outcome == "hung-up"
    assert "twice" not in caplog.text
    differing = [*usual, ("SessionStatus", "completed"), ("SessionStatus", "failed")]
    assert (await server.form("/connect-action", differing)).outcome == "hang-up"
    assert "'SessionStatus' stands twice with different values; neither counts" in caplog.text


async def test_blank_fields_are_signed_and_kept(web: Any) -> None:
    reply = await web(Agent()).post(f"/connect-action?{WITH_HOME}", **ended(HandoffData="", ToState="", ErrorCode=""))
    assert said(reply.home)["HandoffData"] == ""


async def test_a_way_home_that_is_not_ours_is_not_taken(web: Any, caplog: Any) -> None:
    reply = await web(Agent()).post("/connect-action?return=https://evil.example/", **ended(HandoffData=HANDOFF))
    assert reply.outcome == "hang-up"
    assert "return is no flow of this account" in caplog.text


async def test_an_agent_that_is_not_there_any_more_is_stood_in_for(web: Any, caplog: Any) -> None:
    reply = await web(Agent()).post("/connect-action/gone", **failed())
    assert reply.relay.get("url") == "wss://relay.example.com/relay"
    assert "agent 'gone' is not installed; installed: agent, echo" in caplog.text


@pytest.mark.parametrize(
    "query", ["relay-reconnects=-1", "relay-reconnects=x", "relay-reconnects=9999999", "relay-reconnects=%D9%A1"]
)
async def test_a_count_that_is_none_counts_as_many(web: Any, query: str) -> None:
    assert (await web(Agent()).post(f"/connect-action?{query}", **failed())).outcome == "apology"


async def test_a_connection_that_is_refused_is_tried_once_more_also_after_a_loss(web: Any) -> None:
    server = web(Agent())
    lost = await server.post("/connect-action", **failed("64105"))
    refused = await server.post(lost.action, **failed("64102", SessionId="VX2"))
    assert (refused.outcome, refused.relay.get("welcomeGreeting")) == ("reconnect", None)
    server = web(Agent(), max_reconnects=9)
    refused = await server.post("/connect-action", **failed("64102"))
    lost = await server.post(refused.action, **failed("64105", SessionId="VX2"))
    assert (await server.post(lost.action, **failed("64102", SessionId="VX3"))).outcome == "apology"
