"""Reading a definition out of whatever it came in, and writing it back."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import FlowError
from studio_relay.studio.document import read_document

DEFINITION = {
    "states": [{"name": "Trigger", "type": "trigger", "transitions": [], "properties": {"größe": 1}}],
    "initial_state": "Trigger",
    "unknown": {"kept": [1, 2.5, None, True]},
}
BARE = json.dumps(DEFINITION)
RESOURCE = {"sid": "FW1", "friendly_name": "Front", "definition": DEFINITION, "revision": 3}

SHAPES = {
    "bare": BARE,
    "bare, two spaces": json.dumps(DEFINITION, indent=2) + "\n",
    "bare, tabs": json.dumps(DEFINITION, indent="\t", ensure_ascii=False),
    "compact": json.dumps(DEFINITION, separators=(",", ":")),
    "windows": json.dumps(DEFINITION, indent=4).replace("\n", "\r\n") + "\r\n",
    "byte-order mark": "\ufeff" + BARE,
    "API response": json.dumps(RESOURCE),
    "list page": json.dumps({"flows": [RESOURCE], "meta": {"key": "flows"}}, indent=2),
    "definition as a string": json.dumps({"sid": "FW1", "definition": json.dumps(DEFINITION, indent=2)}),
    "a string with JSON": json.dumps(BARE),
    "twice encoded": json.dumps(json.dumps(BARE)),
    "commonjs module": f"// exported\nmodule.exports = {json.dumps(DEFINITION, indent=2)};\n",
    "es module": f"export default {BARE};\n",
    "terraform": "${jsonencode(" + json.dumps(DEFINITION, indent=2) + ")}\n",
    "oddly written": json.dumps(DEFINITION).replace('"states"', '  "states"  '),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read_and_written_back_unchanged(shape: str) -> None:
    document = read_document(SHAPES[shape])
    assert document.definition == DEFINITION
    assert document.to_text() == SHAPES[shape]
    assert document.to_text(copy.deepcopy(DEFINITION)) == SHAPES[shape]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_changed_definition_keeps_its_wrapper(shape: str) -> None:
    changed = copy.deepcopy(DEFINITION) | {"description": "new"}
    again = read_document(read_document(SHAPES[shape]).to_text(changed))
    assert again.definition == changed
    if shape != "oddly written":
        assert again.to_text(DEFINITION | {"description": "new"}) == again.text
        assert (again.before, again.after) == (read_document(SHAPES[shape]).before, again.after)


def test_a_change_of_one_value_changes_one_line() -> None:
    text = json.dumps(DEFINITION, indent=4) + "\n"
    changed = copy.deepcopy(DEFINITION)
    changed["unknown"]["kept"][0] = 7  # type: ignore[index]
    old, new = text.splitlines(), read_document(text).to_text(changed).splitlines()
    assert [b for a, b in zip(old, new, strict=True) if a != b] == ["            7,"]


def test_order_of_keys_counts_as_a_change() -> None:
    turned = dict(reversed(DEFINITION.items()))
    assert list(json.loads(read_document(BARE).to_text(turned))) == list(turned)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ("hello", "not JSON"),
        (BARE[:-20], "breaks off"),
        ('{"states": [\n  {"name": ', "flow:2:"),
        ('{"states": [1,]}', "flow:1:"),
        ("[]", "no flow"),
        ("17", "not JSON"),
        ('"text"', "no flow"),
        ('{"a": 1}', "no flow"),
        ('{"flows": [{"sid": "FW1", "definition": null}]}', "fetch the flow by its SID"),
        (BARE + BARE, "more text after"),
        ('{"states": NaN, "initial_state": "a"}', "NaN is no JSON value"),
        ('{"states": [{"name": "a", "name": "b"}], "initial_state": "a"}', "'name' stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ("module.exports = { states: [], initial_state: 'x' }", "program text"),
        ('{"states": [' + "9" * 5_000 + '], "initial_state": "a"}', "flow"),
        ('{"states": [\x00', "flow:1:"),
    ],
)
def test_what_is_no_flow_is_refused_with_place_and_next_step(text: str, words: str) -> None:
    with pytest.raises(FlowError, match="flow") as refusal:
        read_document(text)
    assert words in str(refusal.value)


def test_one_of_several_flows_is_chosen_by_sid_or_name() -> None:
    other = RESOURCE | {"sid": "FW2", "friendly_name": "Other", "definition": DEFINITION | {"description": "2"}}
    page = json.dumps({"flows": [RESOURCE, other]})
    with pytest.raises(FlowError, match=r"2 flows: Front / FW1, Other / FW2\. Say which"):
        read_document(page)
    assert read_document(page, select="FW2").definition["description"] == "2"
    assert read_document(page, select="Front").definition == DEFINITION
    with pytest.raises(FlowError, match="no flow 'Nope'; it holds Front / FW1"):
        read_document(page, select="Nope")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(extra=JSON, indent=st.sampled_from([None, 2, 4, "\t"]), ascii_only=st.booleans())
def test_any_content_survives(extra: object, indent: int | str | None, ascii_only: bool) -> None:
    definition = DEFINITION | {"extra": extra}
    text = json.dumps(definition, indent=indent, ensure_ascii=ascii_only)
    document = read_document(text)
    assert document.to_text() == text
    assert document.layout.dump(definition) == text


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_our_words(text: str) -> None:
    with suppress(FlowError):
        assert read_document(text).to_text() == text
