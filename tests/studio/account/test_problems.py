"""What the validator says is read out of every form it may come in, and nothing that comes makes it fall over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import definition

from studio_relay.studio.account.problems import Problem, name_widget, read_problems

ONE = Problem(path="#/states/1/type", message="no such type")


@pytest.mark.parametrize(
    "body",
    [
        {"details": {"errors": [{"property_path": "#/states/1/type", "message": "no such type"}]}},
        {"errors": [{"property_path": "#/states/1/type", "message": "no such type"}]},
        {"details": [{"path": "#/states/1/type", "description": "no such type"}]},
        {"errors": ["#/states/1/type: no such type"]},
        {"errors": [{"errors": [{"pointer": "#/states/1/type", "detail": "no such type"}]}]},
        {"errors": {"errors": [{"property_path": "#/states/1/type", "message": "no such type"}]}},
        {"details": "#/states/1/type: no such type"},
        {"errors": [{"property_path": "#/states/1/type", "message": "no such type"}] * 3},
        {
            "errors": [{"property_path": "#/states/1/type", "message": "no such type"}],
            "details": {"errors": [{"property_path": "#/states/1/type", "message": "no such type"}]},
        },
    ],
)
def test_every_form(body: Any) -> None:
    assert read_problems(body) == (ONE,)


@pytest.mark.parametrize("body", [None, 3, [], {}, {"errors": None}, {"errors": [None, "", " ", {}, {"path": "#/x"}]}])
def test_nothing_is_nothing(body: Any) -> None:
    assert read_problems(body) == ()


@pytest.mark.parametrize(
    ("path", "widget"),
    [
        ("#/states/1/properties/say", "hello"),
        ("#/states/1", "hello"),
        ("/states/1/type", "hello"),
        ("$.states[1].type", "hello"),
        ("states.1.type", "hello"),
        ("#/states/0/name", "Trigger"),
        ("#/states/2", ""),
        ("#/states/11", ""),
        ("#/states/-1", ""),
        ("#/flags/states", ""),
        ("", ""),
    ],
)
def test_a_path_gets_the_name_of_its_widget(path: str, widget: str) -> None:
    assert name_widget(Problem(path=path, message="x"), definition("hello")).widget == widget


@pytest.mark.parametrize("broken", [None, {}, {"states": 3}, {"states": [7]}, {"states": [{"name": 3}]}])
def test_a_broken_definition_names_nothing(broken: Any) -> None:
    assert name_widget(Problem(path="#/states/0", message="x"), broken).widget == ""


def test_how_a_problem_reads() -> None:
    assert str(Problem(path="#/states/1", message="no", widget="hello")) == "hello (#/states/1): no"
    assert str(Problem(path="#/flags", message="no")) == "#/flags: no"
    assert str(Problem(message="no")) == "no"
    assert Problem(message="no").to_json() == {"message": "no"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["errors", "details", "message", "property_path", "path", "states", "name"]) | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_whatever_comes_is_read(body: Any, asked: Any) -> None:
    found = read_problems(body, asked if isinstance(asked, dict) else None)
    assert len(set(found)) == len(found)
    assert all(problem.message for problem in found)
