"""`/voice`: what a call is answered with, whoever asks and whatever the query holds; nobody is left in silence."""

from __future__ import annotations

import logging
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay import create_app, hookimpl
from studio_relay.errors import SettingsError
from studio_relay.plugins import load_plugins
from studio_relay.server.visit import Visit
from studio_relay.settings import load_settings
from studio_relay.testing import RelayAttributes
from studio_relay.testing.signing import sign_request

pytestmark = pytest.mark.looptime

ACCOUNT = "AC" + "0" * 32
HOME = f"https://webhooks.twilio.com/v1/Accounts/{ACCOUNT}/Flows/FW{'0' * 32}"
WITH_HOME = f"return={quote(HOME, safe='')}"


class Agent:
    relay: ClassVar[dict[str, str]] = {"voice": "en-US-Journey-O", "welcome_greeting": "Hello & welcome"}

    @hookimpl
    def on_prompt(self) -> str:
        return "Yes."


class Plain:
    @hookimpl
    def on_prompt(self) -> str:
        return "Yes."


async def test_a_call_is_brought_to_the_agent(web: Any) -> None:
    reply = await web(Agent()).post("/voice")
    assert (reply.status, reply.outcome, reply.verbs) == (200, "connect", ["Connect"])
    assert reply.headers["content-type"].startswith("text/xml")
    assert reply.relay.get("url") == "wss://relay.example.com/relay"
    assert reply.relay.get("welcomeGreeting") == "Hello & welcome"
    assert reply.action == "https://relay.example.com/connect-action"
    assert list(reply.parameters) == ["ticket"]
    assert RelayAttributes.from_twiml(reply.text).notes == ()


async def test_the_path_names_the_agent_in_every_url(web: Any) -> None:
    reply = await web(Agent()).post("/voice/echo")
    assert reply.relay.get("url") == "wss://relay.example.com/relay/echo"
    assert reply.action == "https://relay.example.com/connect-action/echo"
    assert reply.relay.get("voice") is None


async def test_a_prefix_of_the_public_url_is_kept(web: Any) -> None:
    server = web(Plain(), public_url="https://relay.example.com/calls")
    reply = await server.raw("POST", "http://10.0.0.1/voice", headers={})
    assert reply.status == 403
    signed = sign_request("https://relay.example.com/calls/voice", {}, server.token)
    reply = await server.raw("POST", "http://10.0.0.1/voice", headers=signed)
    assert reply.relay.get("url") == "wss://relay.example.com/calls/relay"
    assert reply.action == "https://relay.example.com/calls/connect-action"


async def test_get_is_answered_as_post(web: Any) -> None:
    server = web(Agent())
    by_get = await server.get("/voice?tier=gold&" + WITH_HOME)
    by_post = await server.post("/voice?tier=gold&" + WITH_HOME)
    assert by_get.action == by_post.action
    assert set(by_get.parameters) == set(by_post.parameters) == {"tier", "ticket"}


async def test_the_query_becomes_parameters_and_is_carried_on(web: Any) -> None:
    reply = await web(Plain()).post(f"/voice?{WITH_HOME}&tier=gold+card&note=%C3%A9%26%3C&blank=")
    assert reply.parameters | {"ticket": ""} == {"tier": "gold card", "note": "é&<", "blank": "", "ticket": ""}
    carried = dict(parse_qsl(urlsplit(reply.action).query, keep_blank_values=True))
    assert carried == {"return": HOME, "tier": "gold card", "note": "é&<", "blank": ""}


@pytest.mark.parametrize("query", ["b=2&a=1", f"tier=gold&{WITH_HOME}&language=es-ES"])
async def test_every_query_we_write_is_sorted_by_name_and_a_url_that_is_not_is_told_of_once(
    web: Any, query: str, caplog: Any
) -> None:
    server = web(Agent())
    for _ in range(2):
        reply = await server.post(f"/voice?{query}")
        names = [name for name, _ in parse_qsl(urlsplit(reply.action).query)]
        assert names == sorted(names)
        assert len(names) > 1
    told = [record.getMessage() for record in caplog.records if "not sorted by name" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith(f"Write it in this order: {', '.join(map(repr, names))}")
    assert "gold" not in told[0]


@pytest.mark.parametrize("query", ["a=1&b=2", "", "a=1"])
async def test_of_a_sorted_query_nothing_is_told(web: Any, query: str, caplog: Any) -> None:
    server = web(Agent())
    await server.post(f"/voice?{query}")
    await server.get(f"/voice?{query}")
    assert "not sorted" not in caplog.text


async def test_the_parameter_language_sets_the_language(web: Any) -> None:
    reply = await web(Plain(), twiml={"language": "en-GB"}).post("/voice?language=es-ES")
    assert (reply.relay.get("language"), reply.parameters["language"]) == ("es-ES", "es-ES")


async def test_an_agent_is_told_the_language_that_is_set_elsewhere(web: Any) -> None:
    reply = await web(Plain(), twiml={"language": "en-GB"}).post("/voice")
    assert (reply.relay.get("language"), reply.parameters["language"]) == ("en-GB", "en-GB")


async def test_a_language_that_is_none_changes_nothing(web: Any, caplog: Any) -> None:
    reply = await web(Plain()).post("/voice?language=the+king%27s")
    assert reply.relay.get("language") == "en-US"
    assert "language is no language tag" in caplog.text


async def test_the_parameter_agent_chooses_where_that_is_allowed(web: Any) -> None:
    assert (await web(Agent()).post("/voice?agent=echo")).relay.get("voice") == "en-US-Journey-O"
    allowed = web(Agent(), agent_from_parameters=True)
    assert (await allowed.post("/voice?agent=echo")).relay.get("voice") is None


# --- nobody is left in silence ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "home",
    [
        "https://evil.example/v1/Accounts/AC/Flows/FW",
        HOME.replace("https", "http"),
        HOME.replace("AC0", "AC1"),
        HOME.replace("webhooks.twilio.com", "webhooks.twilio.com.evil.example"),
        HOME.replace("webhooks.twilio.com", "webhooks.twilio.com@evil.example"),
        HOME.replace("webhooks.twilio.com", "webhooks.twilio.com:8443"),
        HOME.replace("/Flows/", "/Flows/../"),
        HOME + "/..",
        HOME + "#x",
        HOME + "?a=\n",
        HOME + "\\@evil.example",
        "//webhooks.twilio.com" + HOME.partition(".com")[2],
        " " + HOME,
        "",
    ],
)
async def test_a_way_home_that_is_not_ours_is_refused_with_words(web: Any, home: str, caplog: Any) -> None:
    reply = await web(Agent()).post(f"/voice?return={quote(home, safe='')}")
    assert (reply.status, reply.outcome, reply.verbs) == (200, "return-refused", ["Say", "Hangup"])
    assert "expected return=https://webhooks.twilio.com/v1/Accounts/" in caplog.text


async def test_the_account_is_that_of_the_call_where_none_is_set(web: Any) -> None:
    server = web(Agent(), account_sid=None)
    assert (await server.post("/voice?" + WITH_HOME)).outcome == "connect"
    assert (await server.post("/voice?" + WITH_HOME, AccountSid="AC" + "1" * 32)).outcome == "return-refused"
    assert (await server.post("/voice?" + WITH_HOME, AccountSid="")).outcome == "return-refused"


async def test_an_agent_that_is_not_there_goes_home_or_gets_words(web: Any, caplog: Any) -> None:
    server = web(Agent())
    reply = await server.post("/voice/nobody")
    assert (reply.status, reply.outcome, reply.verbs) == (200, "agent-unknown", ["Say", "Hangup"])
    assert "agent 'nobody' is not installed; installed: agent, echo" in caplog.text
    reply = await server.post("/voice/nobody?" + WITH_HOME)
    assert (reply.outcome, reply.home) == ("agent-unknown", HOME + "?FlowEvent=return&SessionStatus=failed")


async def test_an_agent_whose_twiml_would_be_refused_answers_with_the_defaults(web: Any, caplog: Any) -> None:
    class Wrong(Plain):
        relay: ClassVar[dict[str, Any]] = {
            "voise": "x", "voice": "Lupe", "language": "es-ES", "welcomeGreeting": "Hola", "parameters": {"a": "b"},
        }  # fmt: skip

    server = web(Wrong())
    assert "agent agent: relay['voise']: rule 8: no such attribute; did you mean voice?" in caplog.text
    reply = await server.post("/voice?tier=gold")
    kept = [reply.relay.get(name) for name in ("language", "welcomeGreeting", "voice")]
    assert kept == ["es-ES", "Hola", None]
    assert reply.parameters | {"ticket": ""} == {"a": "b", "tier": "gold", "language": "es-ES", "ticket": ""}


async def test_a_language_that_contradicts_the_rest_leaves_the_greeting(web: Any, caplog: Any) -> None:
    reply = await web(Agent()).post("/voice?language=multi")
    assert "rule 3: multi is spoken by ElevenLabs alone, found Google" in caplog.text
    kept = [reply.relay.get(name) for name in ("language", "welcomeGreeting", "ttsProvider")]
    assert kept == ["multi", "Hello & welcome", "ElevenLabs"]


@pytest.mark.parametrize("relay", [{"welcome_greeting": ["x"]}, {"language": "?"}, {"parameters": 5}])
async def test_what_is_wrong_with_the_rest_too_leaves_the_defaults(web: Any, relay: Any) -> None:
    class Wrong(Plain):
        pass

    Wrong.relay = relay  # type: ignore[attr-defined]
    reply = await web(Wrong()).post("/voice?language=es-ES")
    assert (reply.outcome, reply.relay.get("language")) == ("connect", "es-ES")


@pytest.mark.parametrize("fault", [{"voise": "x"}, {"eot_threshold": "9"}, {"languages": "es"}])
def test_an_environment_that_would_be_refused_stops_the_start(fault: Any) -> None:
    wanted = load_settings(None, insecure=True, agent="echo", twiml=fault)
    with pytest.raises(SettingsError, match=r"^STUDIO_RELAY_TWIML__\w+: rule \d: "):
        create_app(wanted, load_plugins(outside=False))


async def test_what_is_warned_of_is_said_at_the_start(web: Any, caplog: Any) -> None:
    web(Plain(), twiml={"speech_model": "whisper"})
    words = "TwiML: STUDIO_RELAY_TWIML__SPEECH_MODEL: rule 6: whisper is not a model we know"
    assert caplog.text.count(words) == 1


async def test_a_fault_of_ours_is_answered_with_words(web: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    server = web(Agent())
    monkeypatch.setattr(server.app.extensions["studio_relay"].tickets, "issue", None)
    reply = await server.post("/voice")
    assert (reply.status, reply.outcome, reply.verbs) == (200, "internal-error", ["Say", "Hangup"])
    assert "could not be answered as it should be: TypeError" in caplog.text


# --- who may ask, and what with ---------------------------------------------------------------------------


async def test_what_is_not_signed_is_403_with_the_reason_in_the_log(web: Any, caplog: Any) -> None:
    server = web(Agent())
    for token in (None, "another"):
        server.token = token
        for reply in (
            await server.post("/voice"),
            await server.get("/connect-action"),
            await server.json("/voice", b"{}"),
        ):
            assert (reply.status, "Response" in reply.text) == (403, False)
    assert caplog.text.count("refused with 403") == 6
    assert "of '/voice' refused with 403: no X-Twilio-Signature header" in caplog.text


async def test_a_json_body_must_be_covered(web: Any, caplog: Any) -> None:
    server = web(Agent())
    url = "https://relay.example.com/voice"
    headers = {"content-type": "application/json"} | sign_request(url, {}, server.token)
    assert (await server.raw("POST", url, b'{"CallSid":"CA1"}', headers=headers)).status == 403
    assert "expected one bodySHA256" in caplog.text
    assert (await server.json("/voice", b'{"CallSid":"CA1"}')).outcome == "connect"


async def test_another_account_is_403(web: Any, caplog: Any) -> None:
    assert (await web(Agent()).post("/voice", AccountSid="AC" + "1" * 32)).status == 403
    assert "of another account than TWILIO_ACCOUNT_SID" in caplog.text


@pytest.mark.parametrize(
    ("url", "headers", "peer", "status"),
    [
        ("http://localhost:8080/voice", {}, "127.0.0.1", 200),
        ("http://localhost:8080/connect-action", {}, "127.0.0.1", 200),
        ("http://localhost:8080/voice", {}, "10.1.2.3", 403),
        ("http://abc.tunnel.example/voice", {}, "127.0.0.1", 403),
        ("http://localhost:8080/voice", {"x-forwarded-for": "1.2.3.4"}, "127.0.0.1", 403),
        ("http://localhost:8080/connect-action", {"origin": "https://evil.example"}, "127.0.0.1", 403),
    ],
)
async def test_without_signatures_only_this_machine_is_served(
    web: Any, url: str, headers: Any, peer: str, status: int
) -> None:
    server = web(Agent(), auth_token=None, public_url=None, insecure=True)
    assert (await server.raw("POST", url, headers=headers, peer=peer)).status == status


async def test_without_a_public_url_the_address_that_was_asked_is_named(web: Any) -> None:
    server = web(Agent(), auth_token=None, public_url=None, insecure=True)
    reply = await server.raw("POST", "http://localhost:8080/voice/echo?tier=gold")
    assert reply.relay.get("url") == "wss://localhost:8080/relay/echo"
    assert reply.action == "http://localhost:8080/connect-action/echo?tier=gold"


async def test_a_body_beyond_all_measure_is_413(web: Any, caplog: Any) -> None:
    assert (await web(Agent()).post("/voice", Note="x" * 300_000)).status == 413
    assert "POST of '/voice' refused with 413: the body is larger than" in caplog.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_405(web: Any, method: str, caplog: Any) -> None:
    assert (await web(Agent()).raw(method, "https://relay.example.com/voice")).status == 405
    assert f"{method} of '/voice' refused with 405: expected GET or POST" in caplog.text


async def test_a_slash_behind_voice_is_signed_with_it_and_nothing_is_redirected(web: Any) -> None:
    server = web(Agent())
    for method in ("post", "get"):
        reply = await getattr(server, method)("/voice/")
        assert (reply.status, reply.outcome) == (200, "connect")
        assert reply.relay.get("url") == "wss://relay.example.com/relay"
    signed = sign_request("https://relay.example.com/voice", {}, server.token)
    assert (await server.raw("POST", "https://relay.example.com/voice/", headers=signed)).status == 403


async def test_a_load_balancer_that_asks_for_the_root_is_content(web: Any) -> None:
    reply = await web(Agent()).raw("GET", "http://10.0.0.1/")
    assert (reply.status, reply.text) == (200, "ok\n")
    assert (await web(Agent()).raw("HEAD", "http://10.0.0.1/")).status == 200
    assert (await web(Agent()).raw("POST", "http://10.0.0.1/")).status == 405


async def test_a_path_that_was_probably_meant_for_us_is_named_no_other(web: Any, caplog: Any) -> None:
    server = web(Agent())
    for path in ("/voice/a/", "/connect-action/a/b", "/relays"):
        caplog.clear()
        assert (await server.get(path)).status == 404
        assert f"GET of '{path}' refused with 404: there are /relay, /voice" in caplog.text
        assert "+1555" not in caplog.text
    caplog.clear()
    assert (await server.get("/wp-login.php")).status == 404
    assert (await server.get("/relay")).status == 400
    assert [record.getMessage() for record in caplog.records] == [
        "GET of '/relay' refused with 400: an upgrade is for /relay, and /relay takes nothing else"
    ]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("tier=gold&tier=silver", "names 'tier' twice"),
        ("ticket=1", "the query's ticket is left out"),
        ("&".join(f"p{number}={number}" for number in range(60)), "60 custom parameters"),
    ],
)
async def test_odd_queries_are_named_and_the_call_goes_on(web: Any, query: str, named: str, caplog: Any) -> None:
    reply = await web(Plain()).post(f"/voice?{query}")
    assert reply.outcome == "connect"
    assert named in caplog.text
    assert reply.parameters["ticket"] != "1"
    assert len(reply.parameters) <= 51


async def test_what_was_tried_before_is_no_business_of_a_new_call(web: Any) -> None:
    reply = await web(Agent()).post("/voice?relay-reconnects=2&relay-changes=minimal")
    assert reply.relay.get("welcomeGreeting") == "Hello & welcome"
    assert "relay-" not in reply.action


@pytest.mark.parametrize("call_sid", ["", "x" * 65, "CA 1", "CÄ1"])
async def test_a_call_without_an_id_gets_no_ticket(web: Any, call_sid: str, caplog: Any) -> None:
    reply = await web(Agent()).post("/voice", CallSid=call_sid)
    assert reply.outcome == "connect"
    assert "ticket" not in reply.parameters
    assert "the webhook's CallSid is" in caplog.text


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"CallSid":"a","CallSid":"b"}', b"\xff", b"[" * 20_000])
async def test_bodies_that_say_nothing_are_answered(web: Any, body: bytes) -> None:
    reply = await web(Agent(), account_sid=None).json("/voice", body)
    assert (reply.outcome, "ticket" in reply.parameters) == ("connect", False)


async def test_a_json_body_of_any_depth_is_answered(web: Any) -> None:
    server = web(Agent())
    for depth in range(50, 1_050, 50):
        reply = await server.json("/voice", b'{"Deep":' + b"[" * depth + b"]" * depth + b"}")
        assert (reply.status, reply.outcome) == (200, "connect")


@given(pairs=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=8))
def test_what_a_query_says_survives_its_way_through_the_action(pairs: list[tuple[str, str]]) -> None:
    read = Visit.read(parse_qsl(urlencode(pairs, errors="replace"), keep_blank_values=True), ACCOUNT)
    again = Visit.read(parse_qsl(read.to_query(), keep_blank_values=True), ACCOUNT)
    assert dict(again.parameters) == dict(read.parameters)
    assert (again.home, again.recovery) == (read.home, read.recovery)


async def test_no_number_no_word_and_no_token_is_logged(web: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, logger="studio_relay")
    server = web(Agent())
    await server.post("/voice?tier=secret-tier&tier=2", From="+15550109999", CallSid="")
    await server.post("/connect-action", From="+15550109999", SessionStatus="ended", HandoffData="secret words")
    for canary in ("5550109999", "secret", server.token, "X-Twilio-Signature:"):
        assert canary not in caplog.text
