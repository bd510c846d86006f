"""Two definitions are the same JSON or not; what Twilio kept holds all that was sent or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.studio.account.sameness import kept_otherwise, same, seal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (1, 1.0), (0, False), (None, ""), ([], {}), ([1], [])])
def test_json_tells_apart_what_python_may_not(one: Any, other: Any) -> None:
    assert not same({"loop": one}, {"loop": other})
    assert kept_otherwise({"loop": one}, {"loop": other}) == ("#/loop is another value",)


@given(OBJECTS)
def test_a_definition_is_the_same_after_a_journey_and_in_another_order(found: dict[str, Any]) -> None:
    journeyed = json.loads(json.dumps(dict(reversed(found.items()))))
    assert same(found, journeyed)
    assert kept_otherwise(found, journeyed) == ()


@given(OBJECTS, OBJECTS)
def test_nothing_is_missed_when_all_that_was_sent_is_there(sent: dict[str, Any], added: dict[str, Any]) -> None:
    assert kept_otherwise(sent, added | sent) == ()
    assert (kept_otherwise(sent, added) == () and kept_otherwise(added, sent) == ()) == same(sent, added)


@given(OBJECTS, OBJECTS)
def test_a_seal_is_of_one_definition_and_one_revision(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (seal(one, 1) == seal(dict(reversed(other.items())), 1)) == same(one, other)
    assert seal(one, 1) != seal(one, 11)


def test_nothing_that_was_kept_is_another_definition() -> None:
    assert not same(None, None)
    assert kept_otherwise({"states": []}, None) == ("# is another value",)
