"""Our TwiML from layers: every attribute, every rule by a case that passes and one that fails, and who wins."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import TwimlError
from studio_relay.plugins import plugin
from studio_relay.server import attributes as table
from studio_relay.server.layers import DEFAULTS, layers, resolve, server_layer
from studio_relay.server.twiml import RelayTwiml
from studio_relay.testing import RelayAttributes

BASE = "https://relay.example.com"

# Every attribute of the reference (4.2, 4.4) with a value to write in Python and what is emitted.
WRITTEN: dict[str, tuple[Any, str, str]] = {
    "url": ("wss://other.example.com:8443/x", "url", "wss://other.example.com:8443/x"),
    "welcome_greeting": ("Hello & welcome", "welcomeGreeting", "Hello & welcome"),
    "welcome_greeting_interruptible": (False, "welcomeGreetingInterruptible", "none"),
    "language": ("es-ES", "language", "es-ES"),
    "tts_language": ("multi", "ttsLanguage", "multi"),
    "transcription_language": ("en", "transcriptionLanguage", "en"),
    "tts_provider": ("amazon", "ttsProvider", "Amazon"),
    "voice": ("Joanna-Neural", "voice", "Joanna-Neural"),
    "transcription_provider": ("GOOGLE", "transcriptionProvider", "Google"),
    "speech_model": ("telephony", "speechModel", "telephony"),
    "interruptible": (True, "interruptible", "any"),
    "interrupt_sensitivity": ("low", "interruptSensitivity", "low"),
    "ignore_backchannel": (True, "ignoreBackchannel", "true"),
    "report_input_during_agent_speech": ("dtmf", "reportInputDuringAgentSpeech", "dtmf"),
    "dtmf_detection": ("0", "dtmfDetection", "false"),
    "preemptible": ("1", "preemptible", "true"),
    "partial_prompts": ("TRUE", "partialPrompts", "true"),
    "partial_prompt_on_hangup": (True, "partialPromptOnHangup", "true"),
    "speech_timeout": (600, "speechTimeout", "600"),
    "eot_threshold": (0.9, "eotThreshold", "0.9"),
    "eager_eot_threshold": ("0.30", "eagerEotThreshold", "0.3"),
    "turn_detection": (False, "turnDetection", "false"),
    "include_in_prompt": (["turn-state", "prompt-segments"], "includeInPrompt", "turn-state prompt-segments"),
    "hints": (["Ada", "Twilio"], "hints", "Ada,Twilio"),
    "profanity_filter": (True, "profanityFilter", "true"),
    "deepgram_smart_format": (False, "deepgramSmartFormat", "false"),
    "asr_smart_format": (True, "asrSmartFormat", "true"),
    "background_noise_reduction": ("on", "backgroundNoiseReduction", "on"),
    "echo_prompt_filtering": (True, "echoPromptFiltering", "true"),
    "elevenlabs_text_normalization": ("auto", "elevenlabsTextNormalization", "auto"),
    "tts_text_normalization": (True, "ttsTextNormalization", "on"),
    "tts_language_text_normalization": (True, "ttsLanguageTextNormalization", "true"),
    "elevenlabs_language_text_normalization": (True, "elevenlabsLanguageTextNormalization", "true"),
    "events": ("tokens-played, config-updated", "events", "tokens-played config-updated"),
    "debug": ("debugging", "debug", "debugging"),
    "intelligence_service": ("GA00000000000000000000000000000000", "intelligenceService", "GA" + "0" * 32),
    "conversation_configuration": ("conv_configuration_1", "conversationConfiguration", "conv_configuration_1"),
    "conversation_id": ("conv_1", "conversationId", "conv_1"),
    "customer_name": ("Ada <3", "customerName", "Ada <3"),
    "application_reconnect": (True, "applicationReconnect", "true"),
}

WRONG: dict[str, Any] = {
    "url": [
        "https://x.example",
        "wss://",
        "wss://a b",
        "wss://u@x.example",
        "wss://x.example/#f",
        "wss://x:99999/",
        "",
    ],
    "welcome_greeting": ["", "  ", "beep\x07", ["Hello"]],
    "welcome_greeting_interruptible": ["yes", "voice"],
    "language": ["english please", "EN-us", "e", ""],
    "tts_language": ["*"],
    "transcription_language": ["en_US"],
    "tts_provider": ["Deepgram", "Eleven Labs"],
    "voice": ["", "\x00"],
    "transcription_provider": ["ElevenLabs", "Whisper"],
    "speech_model": [""],
    "interruptible": ["maybe", "2"],
    "interrupt_sensitivity": ["highest"],
    "ignore_backchannel": ["yes"],
    "report_input_during_agent_speech": ["all"],
    "dtmf_detection": ["on", "any"],
    "preemptible": ["y"],
    "partial_prompts": ["interim"],
    "partial_prompt_on_hangup": [2],
    "speech_timeout": [599, 5001, "1s", 0.5, True],
    "eot_threshold": [0.49, 0.91, "high", "1e-1", "٠.٥"],
    "eager_eot_threshold": [0.29, 1, -0.5],
    "turn_detection": ["auto"],
    "include_in_prompt": ["turn-state,everything", []],
    "hints": ["", []],
    "profanity_filter": ["strict"],
    "deepgram_smart_format": ["deepgram"],
    "asr_smart_format": [""],
    "background_noise_reduction": [""],
    "echo_prompt_filtering": ["none"],
    "elevenlabs_text_normalization": ["always"],
    "tts_text_normalization": ["always"],
    "tts_language_text_normalization": ["auto"],
    "elevenlabs_language_text_normalization": ["auto"],
    "events": ["speaker-events played", " "],
    "debug": ["verbose"],
    "intelligence_service": [""],
    "conversation_configuration": [""],
    "conversation_id": [""],
    "customer_name": ["", "\ud800"],
    "application_reconnect": ["always"],
}


def agent(**relay: Any) -> Any:
    return plugin(type("Agent", (), {"relay": relay})(), name="desk", kind="agent")


def made(environment: dict[str, Any] | None = None, relay: dict[str, Any] | None = None, **given: Any) -> RelayTwiml:
    return resolve(server_layer(BASE, None), *layers(environment or {}, agent(**(relay or {})), given))


def refused(**given: Any) -> str:
    with pytest.raises(TwimlError) as error:
        made(**given)
    return str(error.value)


def element(twiml: RelayTwiml, path: str = "Connect/ConversationRelay") -> Any:
    return ElementTree.fromstring(twiml.to_xml()).find(path)


# --- every attribute --------------------------------------------------------------------------------------


def test_the_table_is_whole() -> None:
    assert set(WRITTEN) == set(WRONG) == set(table.RELAY)


@pytest.mark.parametrize("name", table.RELAY)
def test_every_attribute_is_emitted_as_twilio_writes_it(name: str) -> None:
    value, xml, text = WRITTEN[name]
    for spelling in (name, xml):
        twiml = made(**{spelling: value})
        assert element(twiml).get(xml) == text
        assert twiml.values[name].layer == "argument"


@pytest.mark.parametrize("name", table.RELAY)
def test_every_attribute_refuses_what_twilio_would(name: str) -> None:
    for value in WRONG[name]:
        message = refused(**{name: value})
        assert re.match(rf"{name}: rule [128]: expected .+, found .+; for example {name}=", message), message
        assert "\n" not in message


@pytest.mark.parametrize("name", table.RELAY)
def test_every_example_is_right(name: str) -> None:
    table.RELAY[name].kind.read(table.RELAY[name].kind.example)


@pytest.mark.parametrize("name", table.LANGUAGE)
def test_every_attribute_of_a_language(name: str) -> None:
    value, xml, text = ("es-ES", "code", "es-ES") if name == "code" else WRITTEN[name]
    twiml = made(languages=[{"code": "es-ES", name: value}], transcription_provider="Google")
    found = element(twiml, "Connect/ConversationRelay/Language")
    assert found.attrib == {"code": "es-ES", xml: text}


def test_what_the_defaults_are() -> None:
    relay = element(made())
    assert relay.attrib == {
        "url": "wss://relay.example.com/relay",
        "language": "en-US",
        "interruptible": "any",
        "reportInputDuringAgentSpeech": "any",
        "dtmfDetection": "true",
        "events": "speaker-events tokens-played",
        "ttsProvider": "ElevenLabs",
        "transcriptionProvider": "Deepgram",
    }
    assert element(made(), "Connect").attrib == {"action": f"{BASE}/connect-action", "method": "POST"}
    assert element(made(welcome_greeting="Hi")).get("welcomeGreetingInterruptible") == "any"


@pytest.mark.parametrize("interruptible", ["any", "dtmf", "speech", "none"])
def test_what_may_interrupt_is_reported_and_nothing_else(interruptible: str) -> None:
    for twiml in (made(interruptible=interruptible), made({}, {"interruptible": interruptible})):
        value = twiml.values["report_input_during_agent_speech"]
        assert (value.text, value.layer) == (interruptible, "default, as interruptible")
        assert not twiml.warnings
    assert made().values["report_input_during_agent_speech"].layer == "default, as interruptible"
    assert made(interruptible=None).text("report_input_during_agent_speech") == "any"  # as Twilio's own default


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_what_somebody_asked_to_be_reported_stays(layer: int) -> None:
    written: list[dict[str, Any]] = [{}, {}, {}]
    written[layer] = {"reportInputDuringAgentSpeech": "dtmf"}
    twiml = made(written[0], written[1], **written[2])
    value = twiml.values["report_input_during_agent_speech"]
    assert (value.text, value.layer) == ("dtmf", ("environment", "agent desk", "argument")[layer])
    assert made(report_input_during_agent_speech=None).values.get("report_input_during_agent_speech") is None


@pytest.mark.parametrize(
    ("interruptible", "report", "wider", "narrower"),
    [
        ("none", "any", "speech and keys", ""),
        ("dtmf", "speech", "speech", "keys"),
        ("dtmf", "any", "speech", ""),
        ("any", "none", "", "speech and keys"),
        ("any", "dtmf", "", "speech"),
        (None, "none", "", "speech and keys"),
        ("speech", None, "", "speech"),
        ("none", None, "", ""),
        ("any", "any", "", ""),
    ],
)
def test_what_is_reported_and_what_may_interrupt_are_compared(
    interruptible: str | None, report: str | None, wider: str, narrower: str
) -> None:
    twiml = made(interruptible=interruptible, report_input_during_agent_speech=report)
    place = "report_input_during_agent_speech: rule 10: "
    said = [warning.removeprefix(place) for warning in twiml.warnings if warning.startswith(place)]
    found = [line.partition(" ")[0] for line in said]
    assert found == ["wider"] * bool(wider) + ["narrower"] * bool(narrower)
    for what, line in zip(filter(None, (wider, narrower)), said, strict=True):
        assert f": {what} " in line


def test_the_simulated_twilio_understands_it() -> None:
    twiml = made(languages=[{"code": "es-ES"}], parameters={"tier": "gold"}, welcome_greeting="Hi")
    read = RelayAttributes.from_twiml(twiml.to_xml())
    assert (read.url, read.welcome_greeting, read.dtmf_detection) == ("wss://relay.example.com/relay", "Hi", True)
    assert (read.speaker_events, read.tokens_played) == (True, True)
    assert (read.languages, dict(read.parameters)) == ({"es-ES"}, {"tier": "gold"})
    assert (read.action_url, read.notes) == (f"{BASE}/connect-action", ())


@pytest.mark.parametrize(
    ("voice", "provider"),
    [
        ("en-US-Journey-O", "Google"),
        ("en-US-Chirp3-HD-Aoede", "Google"),
        ("Joanna-Neural", "Amazon"),
        ("Joanna", "Amazon"),
        ("ZF6FPAbjXT4488VcRRnw-flash_v2_5-1.2_0.6_0.8", "ElevenLabs"),
        ("some voice", None),
    ],
)
def test_the_provider_follows_the_voice_unless_it_is_named(voice: str, provider: str | None) -> None:
    assert made(voice=voice).text("tts_provider") == provider
    assert made(voice=voice, tts_provider="Amazon").text("tts_provider") == "Amazon"


def test_the_recogniser_follows_the_model_unless_it_is_named() -> None:
    assert made(speech_model="telephony").text("transcription_provider") == "Google"
    assert made(speech_model="nova-3-general").text("transcription_provider") == "Deepgram"


# --- the rules --------------------------------------------------------------------------------------------

REFUSED: list[tuple[int, str, dict[str, Any], dict[str, Any]]] = [
    (3, "tts_provider", {"language": "multi", "tts_provider": "Google"}, {"language": "multi"}),
    (3, "tts_provider", {"tts_language": "multi", "tts_provider": "Amazon"}, {"tts_language": "multi"}),
    (
        3,
        "transcription_provider",
        {"transcription_language": "multi", "transcription_provider": "Google"},
        {"transcription_language": "multi", "tts_provider": "Google"},
    ),
    (
        3,
        "speech_model",
        {"language": "multi", "speech_model": "flux"},
        {"language": "multi", "speech_model": "nova-2-general"},
    ),
    (
        3,
        "tts_provider",
        {"languages": [{"code": "multi", "tts_provider": "Google"}]},
        {"languages": [{"code": "multi"}], "speech_model": "nova-3-general"},
    ),
    (
        6,
        "speech_model",
        {"speech_model": "nova-3-general", "transcription_provider": "Google"},
        {"speech_model": "long", "transcription_provider": "google"},
    ),
    (6, "speech_model", {"languages": [{"code": "es-ES", "speech_model": "telephony"}]}, {"speech_model": "telephony"}),
    (8, "voise", {"voise": "x"}, {"extra": {"voise": "x"}}),
    (8, "interruptByDtmf", {"interruptByDtmf": True}, {"dtmf_detection": True}),
    (8, "speechTimeout", {"speech_timeout": 600, "speechTimeout": 700}, {"speechTimeout": 700}),
    (8, "hints", {"hints": ""}, {"hints": None}),
    (9, "code", {"languages": [{"code": "es-ES"}, {"code": "es-ES"}]}, {"languages": [{"code": "es-ES"}]}),
    (9, "code", {"languages": [{"code": "es-ES"}, {"code": "es-es"}]}, {"languages": [{"code": "es-es"}]}),
    (1, "url", {"url": "wss://relay.example.com:0/relay"}, {"url": "wss://relay.example.com:8443/relay"}),
]
WARNED: list[tuple[int, str, dict[str, Any], dict[str, Any]]] = [
    (4, "eot_threshold", {"eot_threshold": 0.7}, {"eot_threshold": 0.7, "speech_model": "flux"}),
    (
        4,
        "eager_eot_threshold",
        {"eager_eot_threshold": 0.8, "eot_threshold": 0.6, "speech_model": "flux"},
        {"eager_eot_threshold": 0.5, "eot_threshold": 0.6, "speech_model": "flux"},
    ),
    (
        5,
        "deepgram_smart_format",
        {"deepgram_smart_format": True, "transcription_provider": "Google"},
        {"deepgram_smart_format": True},
    ),
    (
        5,
        "elevenlabs_text_normalization",
        {"elevenlabs_text_normalization": "on", "tts_provider": "Google"},
        {"elevenlabs_text_normalization": "on"},
    ),
    (6, "speech_model", {"speech_model": "whisper-large"}, {"speech_model": "nova-2-phonecall"}),
    (
        7,
        "voice",
        {"voice": "Joanna", "tts_provider": "Google"},
        {"voice": "en-US-Neural2-F", "tts_provider": "Google"},
    ),
    (7, "voice", {"languages": [{"code": "de-DE", "voice": "Vicki-Neural"}]}, {"voice": "Vicki-Neural"}),
    (
        10,
        "report_input_during_agent_speech",
        {"report_input_during_agent_speech": "any", "interruptible": "dtmf", "languages": [{"code": "es-ES"}]},
        {"report_input_during_agent_speech": "dtmf", "interruptible": "dtmf", "languages": [{"code": "es-ES"}]},
    ),
]


@pytest.mark.parametrize(("rule", "name", "wrong", "right"), REFUSED)
def test_what_a_rule_refuses_and_what_passes(rule: int, name: str, wrong: Any, right: Any) -> None:
    message = refused(**wrong)
    assert re.search(rf"(^|[.]){name}: rule {rule}: ", message), message
    made(**right).to_xml()


@pytest.mark.parametrize(("rule", "name", "wrong", "right"), WARNED)
def test_what_a_rule_warns_of_and_what_passes(rule: int, name: str, wrong: Any, right: Any) -> None:
    warning = next(line for line in made(**wrong).warnings if f"rule {rule}: " in line)
    assert re.search(rf"(^|[.]){name}: rule {rule}: .+; for example ", warning)
    assert not made(**right).warnings


def test_all_problems_are_told_at_once() -> None:
    assert len(refused(voise="x", eot_threshold=2, dtmf_detection="on").splitlines()) == 3


@pytest.mark.parametrize("name", ["languages", "parameters", "children", "extra"])
@pytest.mark.parametrize("value", ["{", 5, "5", ["x"], {"": "x"}, [["Fail over", {}]], [{"voice": "x"}], "\x00"])
def test_collections_that_are_none_are_refused(name: str, value: Any) -> None:
    if name == "parameters" and value == {"": "x"}:
        value = {" ": "\x00"}
    assert re.match(rf"{name}(\[.+\])?: rule 2: expected ", refused(**{name: value}))


@given(st.dictionaries(st.sampled_from([*table.RELAY, "languages", "extra", "children", "parameters", "x"]), st.text()))
def test_whatever_is_written_is_emitted_well_formed_or_refused(given_values: dict[str, str]) -> None:
    problems: list[str] = []
    try:
        ElementTree.fromstring(made(**given_values).to_xml())
    except TwimlError as error:
        problems = str(error).splitlines()
    assert all(": rule " in problem for problem in problems)


# --- layers -----------------------------------------------------------------------------------------------


def test_later_layers_win_and_every_value_knows_its_own() -> None:
    twiml = made({"voice": "Joanna", "language": "de-DE", "hints": "a"}, {"language": "fr-FR", "hints": "b"}, hints="c")
    named = {name: (value.text, value.layer) for name, value in twiml.values.items()}
    assert named["voice"] == ("Joanna", "environment")
    assert named["language"] == ("fr-FR", "agent desk")
    assert named["hints"] == ("c", "argument")
    assert named["events"] == (DEFAULTS["events"], "default")
    assert named["url"][1] == named["action"][1] == "server"


def test_none_leaves_out_what_is_below_and_the_default_too() -> None:
    twiml = made({"voice": "Joanna"}, {"voice": None, "events": None})
    assert twiml.text("voice") is None
    assert twiml.text("events") is None
    assert twiml.text("tts_provider") == "ElevenLabs"
    assert made({}, {"events": None}, events="tokens-played").text("events") == "tokens-played"


def test_parameters_of_all_layers_come_together_and_lists_replace_each_other() -> None:
    twiml = made(
        {"parameters": '{"a": "1", "b": "1"}', "languages": '[{"code": "es-ES"}]'},
        {"parameters": {"b": 2}, "languages": [{"code": "fr-FR"}]},
    )
    assert {name: value.text for name, value in twiml.parameters.items()} == {"a": "1", "b": "2"}
    assert [language["code"] for language in twiml.languages] == ["fr-FR"]


def test_a_problem_says_where_it_is_written() -> None:
    with pytest.raises(TwimlError) as error:
        made({"voice": "\x00"}, {"hints": ""}, events="x")
    lines = str(error.value).splitlines()
    assert lines[0].startswith("STUDIO_RELAY_TWIML__VOICE: rule 2: expected ")
    assert lines[1].startswith("agent desk: relay['hints']: rule 8: expected ")
    assert lines[2].startswith("events: rule 2: expected ")


def test_what_is_not_verified_is_emitted_as_it_is_with_a_warning() -> None:
    twiml = made(children=[["Failover", {"name": "n", "tts_provider": "x"}]], extra={"newOne": True, "voice": "v"})
    assert element(twiml, "Connect/ConversationRelay/Failover").attrib == {"name": "n", "tts_provider": "x"}
    assert element(twiml).get("newOne") == "true"
    assert element(twiml).get("voice") == "v"
    assert len(twiml.warnings) == 3


def test_a_parameter_that_is_the_servers_own_is_left_out_with_a_warning() -> None:
    twiml = made(parameters={"ticket": "x", "tier": "gold"})
    assert list(twiml.parameters) == ["tier"]
    assert twiml.warnings == ["parameters['ticket']: left out: that custom parameter is the server's own"]


def test_a_password_in_a_url_is_not_shown() -> None:
    assert "hunter2" not in refused(url="wss://user:hunter2@relay.example.com/relay")


def test_a_greeting_is_left_out_wherever_it_stands() -> None:
    twiml = made(extra={"WelcomeGreeting": "Hello", "newOne": "x"}, welcome_greeting="Hi").without("welcome_greeting")
    assert "welcomegreeting" not in map(str.lower, element(twiml).attrib)
    assert element(twiml).get("newOne") == "x"


def test_an_action_of_ones_own_is_warned_of() -> None:
    flow = "https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1?Trigger=incomingCall"
    twiml = made(action=flow, method="GET")
    assert element(twiml, "Connect").attrib == {"action": flow, "method": "GET"}
    assert "no lost one is resumed" in twiml.warnings[0]


# --- what is made of it -----------------------------------------------------------------------------------


def test_minimal_is_url_language_and_parameters() -> None:
    twiml = made(language="es-ES", voice="Joanna", parameters={"a": "1"}, languages=[{"code": "fr-FR"}]).minimal()
    relay = element(twiml)
    assert relay.attrib == {"url": "wss://relay.example.com/relay", "language": "es-ES"}
    assert [child.tag for child in relay] == ["Parameter"]


def test_another_recogniser_takes_its_models_with_it() -> None:
    before = made(speech_model="nova-3-general", languages=[{"code": "es-ES", "speech_model": "nova-3-general"}])
    twiml = before.with_other_recogniser("Google")
    assert twiml.text("transcription_provider") == "Google"
    assert twiml.text("speech_model") is None
    assert twiml.languages == [{"code": "es-ES"}]


def test_agents_are_named_in_the_urls() -> None:
    layer = server_layer(BASE + "/prefix", "front desk", "return=a%26b")
    assert layer.values["url"] == "wss://relay.example.com/prefix/relay/front%20desk"
    assert layer.values["action"] == f"{BASE}/prefix/connect-action/front%20desk?return=a%26b"
