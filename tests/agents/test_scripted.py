"""`scripted`: its own front desk, rules from a file, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio_relay import Settings, SettingsError, create_app
from studio_relay.agents.scripted import Rules, ScriptedAgent, load_rules
from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.testing import AsgiTransport, Run, parse_script, run_call, run_virtual
from studio_relay.testing.relay import Line

RULES: dict[str, Any] = {
    "greeting": "Hello.",
    "rules": [
        {
            "when": "number",
            "key": "1",
            "say": "Which one?",
            "then": [{"when": r"/\d/", "say": "Got {digits}.", "handoff": {"reasonCode": "got", "said": "{said}"}}],
        },
        {"when": ["one  two", "/^th.ee/"], "say": "Counted."},
    ],
    "otherwise": "What?",
}


def call(agent: ScriptedAgent, steps: str) -> Run:
    built_in = load_plugins(outside=False).agents["echo"]
    plugins = assemble([built_in, plugin(agent, name="scripted-here", kind="agent")])
    app = create_app(Settings(insecure=True, agent="scripted-here"), plugins)
    return run_virtual(run_call(Line(transport=AsgiTransport(app)), "ws://localhost/relay", parse_script(steps)))


def heard(run: Run) -> list[str]:
    return [turn.text for turn in run.transcript if turn.who == "agent"]


def test_it_is_installed_as_a_built_in_agent() -> None:
    found = load_plugins(outside=False).agents["scripted"]
    assert found.built_in
    assert not found.warnings


def test_a_caller_whom_the_flow_has_greeted_is_not_greeted_again() -> None:
    agent = ScriptedAgent(Rules.model_validate(RULES))
    steps = "{steps: [say: one two, hear: Counted], expect: {not_hear: Hello}"
    assert call(agent, f'{steps}, call: {{parameters: {{greeted: "true"}}}}}}').ok
    assert not call(agent, f"{steps}}}").ok


@pytest.mark.parametrize(
    ("says", "code"),
    [("a person please", "person"), ("That is all.", "done"), ("what does it cost", None), ("gibberish", None)],
)
def test_its_own_front_desk(says: str, code: str | None) -> None:
    run = call(ScriptedAgent(), f"steps:\n  - hear: how can i help\n  - say: {says}\ntimeout: 5")
    assert (run.handoff or {}).get("reasonCode") == code
    assert len(heard(run)) == 2


def test_its_own_front_desk_takes_a_number() -> None:
    run = call(ScriptedAgent(), "steps:\n  - say: call me back\n  - hear: which number\n  - say: '555 010 0007'")
    assert run.handoff["reasonCode"] == "callback"
    assert run.handoff["callbackNumber"] == "5550100007"


def test_follow_ups_come_first_and_fill_in_what_was_said() -> None:
    run = call(ScriptedAgent(Rules.model_validate(RULES)), "steps:\n  - say: my number\n  - say: one two 3")
    assert heard(run) == ["Hello.", "Which one?", "Got 3."]
    assert run.handoff == {"reasonCode": "got", "version": 1, "summary": "", "said": "one two 3"}


def test_other_rules_apply_when_no_follow_up_does() -> None:
    run = call(ScriptedAgent(Rules.model_validate(RULES)), "steps:\n  - say: number\n  - say: ONE two\ntimeout: 3")
    assert heard(run) == ["Hello.", "Which one?", "Counted."]


def test_keys_and_whole_words_and_patterns() -> None:
    script = "steps:\n  - press: '1'\n  - say: numbers\n  - say: three\n  - press: '2'\ntimeout: 3"
    assert heard(call(ScriptedAgent(Rules.model_validate(RULES)), script)) == [
        "Hello.",
        "Which one?",
        "What?",
        "Counted.",
    ]


@pytest.mark.parametrize("text", ["rules: [{when: hi, say: Hello}]", '{"rules": [{"when": ["hi"], "say": "Hello"}]}'])
def test_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules").write_text(text)
    assert load_rules(tmp_path / "rules").rules[0].answers("Hi!")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a readable YAML or JSON file"),
        ("\x00", "not YAML"),
        ("rules: [", "not YAML"),
        ("just text", "Expected greeting, rules and otherwise"),
        ("rules: []", "rules: Tuple should have at least 1 item"),
        ("rules: [{when: '/(/'}]", "/(/ is no regular expression"),
        ("rules: [{when: x, handoff: {reasonCode: NO}}]", "rules.0.handoff: "),
        ("rules: [{when: x, handoff: {reasonCode: a, b: [c]}}]", "rules.0.handoff.b"),
        ("rules: [{when: x, says: y}]", "rules.0.says: Extra inputs"),
        ("rules: [{key: '12'}]", "rules.0.key"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "rules.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError) as wrong:
        load_rules(path)
    assert message in str(wrong.value)
    assert str(wrong.value).startswith(f"STUDIO_RELAY_SCRIPTED_FILE: {path}: ")
    assert "\n" not in str(wrong.value)


async def test_the_file_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_SCRIPTED_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError):
        ScriptedAgent().on_startup()
