"""Studio's Liquid against the rules of the reference, section 4.2."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import FlowError
from studio_relay.studio.liquid import MAX_OUTPUT_BYTES, TEMPLATE_ERROR, TemplateClock, render

CONTEXT: dict[str, Any] = {
    "flow": {"variables": {"x": 3, "text": "5", "padded": "\n 7 \n", "zero": 0, "big": list(range(40))}},
    "trigger": {"message": {"Body": 'Say "hi"\n', "ChannelAttributes": {"memory": {"a": 1}}}},
    "widgets": {
        "http-1": {"parsed": {"sites": [{"name": "A"}, {"name": "B"}]}, "headers": {"x-header": "h"}},
        "my widget": {"x": "y"},
    },
    "contact": {"channel": {"address": "+15550100001"}},
}

RENDERS = [
    ("no markup, ${left} alone", "no markup, ${left} alone"),
    ("{{contact.channel.address}}", "+15550100001"),
    ("{{ widgets.http-1.parsed.sites[1].name }}", "B"),
    ('{{widgets["my widget"].x}}{{widgets.http-1.headers["x-header"]}}', "yh"),
    ("{{ flow.variables.big.size }}", "40"),
    ("{{flow.variables. x | plus: 1}}", "4"),
    ("{{trigger.message.ChannelAttributes .memory | to_json}}", '{"a":1}'),
    ("{{flow.variables.x|plus:0}}{{flow.variables.x| plus: 1}}", "34"),
    ("{{flow.variables.text | plus: 0}}", "5"),
    ("{{flow.variables.padded | plus: 1}}", "8"),
    ("[{{widgets.nobody.HandoffData}}{{nothing.at.all}}]", "[]"),
    ("{{trigger.message.Body | to_json}}", '"Say \\"hi\\"\\n"'),
    ("{% if flow.variables.zero %}truthy{% endif %}", "truthy"),
    ("{% if flow.variables.n %}{{flow.variables.n | plus: 1}}{% else %}1{% endif %}", "1"),
    ("{% assign i = 1 %}{{ widgets.http-1.parsed.sites[i].name }}", "B"),
    ("{% for s in widgets.http-1.parsed.sites %}{{s.name}}{% endfor %}", "AB"),
    ("{% case flow.variables.x %}{% when 3 %}three{% else %}other{% endcase %}", "three"),
    ("{% unless false %}u{% endunless %}{% capture c %}v{% endcapture %}{{c}}", "uv"),
    ("{% comment %}{{ x }}{% endcomment %}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ("<speak>{{'<b>'}}</speak>", "<speak><b></speak>"),
    ("{{ 'a,b' | split: ',' | last | upcase | append: '!' }}", "B!"),
    ("{{ ' x ' | strip }}{{ flow.variables.none | default: 'd' }}", "xd"),
    ("{{- 'x' -}}", "x"),
]


@pytest.mark.parametrize(("template", "text"), RENDERS)
def test_renders_without_a_warning(template: str, text: str) -> None:
    rendered = render(template, CONTEXT)
    assert (rendered.text, rendered.warnings) == (text, ())


@pytest.mark.parametrize(
    "template",
    [
        "a {{ x",
        "{{ flow.variables.x | shout }}",
        "{% hop %}",
        "{{ 1 + 2 }}",
        "{{ flow.variables.größe }}",
        "{{ flow.variables.big[40] }}",
        "{{ 1 | divided_by: 0 }}",
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% if a %}",
        "{{ flow..x }}",
        "{{ (1..99999999) | join: 'x' }}",
        "{% for a in (1..99) %}" * 20 + "x" + "{% endfor %}" * 20,
        "{% if a %}" * 200 + "{% endif %}" * 200,
        "{% assign s = 'aaaaaaaaaaaaaaaa' %}"
        + "{% assign s = s | append: s | append: s | append: s | append: s %}" * 20
        + "{{s}}",
        "{{ 'aaaaaaaaaa'" + " | replace: 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'" * 9 + " }}",
    ],
)
def test_a_template_that_cannot_be_rendered_is_empty_with_81018(template: str) -> None:
    rendered = render(template, CONTEXT)
    assert rendered.text == ""
    assert [warning.code for warning in rendered.warnings] == [TEMPLATE_ERROR]


def test_a_broken_template_is_broken_every_time() -> None:
    assert render("{{ x", CONTEXT) == render("{{ x", CONTEXT)


def test_a_failing_filter_does_not_repeat_the_callers_words() -> None:
    (warning,) = render("{{ trigger.message.Body | slice: 'private words' }}", CONTEXT).warnings
    assert "private" not in warning.message


def test_a_loop_stops_at_fifteen() -> None:
    rendered = render("{% for i in flow.variables.big %}{{i}} {% endfor %}", CONTEXT)
    assert rendered.text.split() == [str(i) for i in range(15)]
    assert "stopped after 15" in rendered.warnings[0].message
    assert render("{% for i in (1..15) %}{{i}}{% endfor %}", CONTEXT).warnings == ()


def test_output_is_cut_at_sixteen_kilobytes() -> None:
    rendered = render("{{ x }}é", {"x": "é" * MAX_OUTPUT_BYTES})
    assert len(rendered.text.encode()) == MAX_OUTPUT_BYTES
    assert "cut at 16384 bytes" in rendered.warnings[0].message


def test_an_object_printed_bare_is_json_and_marked_unverified() -> None:
    rendered = render("{{ trigger.message.ChannelAttributes }}", CONTEXT)
    assert rendered.text == '{"memory":{"a":1}}'
    assert "unverified" in rendered.warnings[0].message
    assert render("{{ widgets.http-1.parsed.sites | to_json }}", CONTEXT).warnings == ()


def test_to_json_of_a_missing_variable_is_null_and_marked_unverified() -> None:
    rendered = render('{"a": {{ widgets.no.x | to_json }}}', CONTEXT)
    assert json.loads(rendered.text) == {"a": None}
    assert "unverified" in rendered.warnings[0].message


def test_dates_use_the_clock_and_zone_of_the_run() -> None:
    clock = TemplateClock(now=datetime(2026, 11, 21, 3, 30, tzinfo=UTC))
    assert render("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", {}, clock=clock).text == "2026-11-20 19:30"
    berlin = TemplateClock(now=clock.now, zone="Europe/Berlin")
    assert render('{{ "now" | date: "%H:%M" }}', {}, clock=berlin).text == "04:30"
    assert render("{{ 0 | date: '%Y-%m-%d' }}", {}, clock=clock).text == "1969-12-31"
    assert render("{{ '2026-01-02T03:04:05' | date: '%d.%m. %H' }}", {}, clock=clock).text == "02.01. 03"
    assert render("{{ missing | date: '%Y' }}", {}, clock=clock).text == ""


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(FlowError, match="'Mars/Base' is unknown"):
        render("{{ 'now' | date: '%Y' }}", {}, clock=TemplateClock(zone="Mars/Base"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_to_json_writes_what_json_reads_back(value: Any) -> None:
    assert json.loads(render("{{ x | to_json }}", {"x": value}).text) == value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=500))
def test_plain_values_come_out_as_they_went_in(value: str) -> None:
    assert render("{{ x }}", {"x": value}).text == value


@given(st.text(alphabet="{}%| .x1'\"[]:,-+forindassgelu", max_size=60))
def test_any_template_renders_or_warns(template: str) -> None:
    rendered = render(template, CONTEXT)
    assert rendered.text == "" or rendered.text is not None
    assert all(warning.message for warning in rendered.warnings)
