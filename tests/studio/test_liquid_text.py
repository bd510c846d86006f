"""Templates that would take too long are refused before they are read, with what to do about it."""

from __future__ import annotations

import json

import pytest

from studio_relay.studio import liquid, liquid_text
from studio_relay.studio.document import read_document
from studio_relay.studio.lint import lint
from studio_relay.studio.liquid_text import split_outputs

COSTLY = {
    "{{ a }}" * 501: "expected at most 500 tags, got 501. Split the text over several widgets.",
    "{{ a }}"
    + "x" * 33_000: "expected at most 32,768 bytes, got 33,007. Split the text over several widgets or variables.",
    "{{ a }}" + "€" * 11_000: "expected at most 32,768 bytes, got 33,007.",
    "{{ a": "expected }} after the {{ at character 1, found the end of the text. Close the tag.",
    "Hi {{ a }}, {% if": "expected %} after the {% at character 13, found the end of the text. Close the tag.",
    "{% raw %}{{": "expected {% endraw %} after the {% raw %} at character 1",
    "{{ a" + "a" * 2_000 + " }}": "expected tags of at most 2,000 characters, got one of 2,007.",
    "{{ a" + " " * 65 + "}}": "expected at most 64 spaces or line ends in a row inside a tag, got more. Remove them.",
}


@pytest.mark.parametrize("template", COSTLY)
def test_a_costly_template_is_refused_by_the_simulator_and_by_lint(template: str) -> None:
    rendered = liquid.render(template, {})
    assert rendered.text == ""
    assert [warning.code for warning in rendered.warnings] == [81018]
    assert COSTLY[template] in rendered.warnings[0].message
    states = [
        {"name": "Trigger", "type": "trigger", "transitions": [{"event": "incomingCall", "next": "w"}]},
        {"name": "w", "type": "say-play", "transitions": [], "properties": {"say": template}},
    ]
    report = lint(read_document(json.dumps({"initial_state": "Trigger", "states": states})))
    assert any(COSTLY[template] in finding.message for finding in report.findings if finding.code == "SR401")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ a }}" * 500, "b" * 500),
        ("{{ a" + " " * 64 + "}}", "b"),
        ("{% raw %}{{ {% {% endraw %}{{ a }}", "{{ {% b"),
        ("{% raw %}{% raw %}{% endraw %}", "{% raw %}"),
        ("{{ '{%' }}", "{%"),
        ("no markup " + "x" * 60_000, "no markup " + "x" * 60_000),
    ],
)
def test_what_is_sane_is_rendered(template: str, text: str) -> None:
    assert liquid.render(template, {"a": "b"}).text == text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a {{ b }} c", ["a ", "{{ b }}", " c"]),
        ("{{}}{{ x", ["", "{{}}", "{{ x"]),
        ("}} {{ a {{ b }}", ["}} ", "{{ a {{ b }}", ""]),
        ("", [""]),
    ],
)
def test_outputs_stand_at_odd_places(text: str, pieces: list[str]) -> None:
    assert split_outputs(text) == pieces
    assert liquid_text.outputs(text) == pieces[1::2]
