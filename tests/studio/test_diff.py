"""What changed, in words; what is no behaviour is not mentioned."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from studio_relay.studio.diff import diff
from studio_relay.studio.flow import parse_flow


def base(kit: Any) -> dict[str, Any]:
    made: dict[str, Any] = kit.definition(
        kit.state("welcome", "say-play", {"audioComplete": "relay"}, say="Hello", loop=1, offset={"x": 1, "y": 2}),
        kit.state(
            "relay",
            "run-conversation-relay",
            {"success": "route", "failed": None},
            url="wss://a.example",
            parameters=[{"key": "tier", "value": "gold"}],
        ),
        kit.split(
            "route",
            "{{widgets.relay.HandoffData}}",
            ("contains", "person", "person"),
            ("contains", "done", "bye"),
            no_match="bye",
        ),
        kit.state("person", "connect-call-to", {"callCompleted": None}, noun="number", to="+15550100009"),
        kit.state("bye", "say-play", {"audioComplete": None}, say="Bye"),
    )
    return made


def state(d: dict[str, Any], name: str) -> dict[str, Any]:
    return next(s for s in d["states"] if s["name"] == name)


def rename(d: dict[str, Any]) -> None:
    state(d, "person")["name"] = "human"
    for t in state(d, "route")["transitions"]:
        t["next"] = "human" if t["next"] == "person" else t["next"]


CASES: list[tuple[Callable[[dict[str, Any]], Any], list[str]]] = [
    (lambda d: None, []),
    (lambda d: state(d, "welcome")["properties"].update(offset={"x": 9, "y": 9}), []),
    (lambda d: d["states"].reverse(), []),
    (lambda d: d.update(description="other"), []),
    (lambda d: state(d, "relay")["transitions"].reverse(), []),
    (lambda d: state(d, "relay")["properties"]["parameters"][0].update(index="0", type="string"), []),
    (
        lambda d: state(d, "relay")["transitions"][1].update(next="bye"),
        ["relay: on 'failed' it goes to 'bye'; before it ended the branch"],
    ),
    (
        lambda d: state(d, "welcome")["transitions"][0].pop("next"),
        ["welcome: on 'audioComplete' it ends the branch; before it went to 'relay'"],
    ),
    (lambda d: state(d, "welcome")["properties"].update(say="Hi"), ['welcome: say is "Hi", before "Hello"']),
    (
        lambda d: state(d, "welcome")["properties"].update(voice="Polly.Amy"),
        ['welcome: voice is "Polly.Amy", before not set'],
    ),
    (lambda d: state(d, "welcome")["properties"].pop("loop"), ["welcome: loop is no longer set, before 1"]),
    (
        lambda d: state(d, "relay")["properties"]["parameters"].append({"key": "a", "value": "b"}),
        ["relay: parameter 'a' is new: \"b\""],
    ),
    (lambda d: state(d, "relay")["properties"]["parameters"].clear(), ["relay: parameter 'tier' is gone"]),
    (
        lambda d: state(d, "relay")["properties"]["parameters"][0].update(value="x"),
        ['relay: parameter \'tier\' is "x", before "gold"'],
    ),
    (
        lambda d: state(d, "route")["transitions"].pop(),
        ["route: the branch on 'contains done' is gone; it went to 'bye'"],
    ),
    (
        lambda d: state(d, "route")["transitions"][1].update(next="bye"),
        ["route: on 'contains person' it goes to 'bye'; before it went to 'person'"],
    ),
    (
        lambda d: state(d, "route")["transitions"].insert(0, state(d, "route")["transitions"].pop()),
        ["route: its branches are tried in another order: 'contains done', 'contains person'"],
    ),
    (lambda d: state(d, "bye").update(type="send-message"), ["bye: is of type send-message, before say-play"]),
    (lambda d: d["flags"].update(allow_concurrent_calls=False), ["a caller may not have several calls at a time"]),
]


@pytest.mark.parametrize(("change", "words"), CASES)
def test_changes_in_words(kit: Any, change: Callable[[dict[str, Any]], Any], words: list[str]) -> None:
    old, new = base(kit), base(kit)
    change(new)
    assert [str(c) for c in diff(parse_flow(json.dumps(old)), parse_flow(json.dumps(new)))] == words


def test_a_renamed_widget_is_one_change(kit: Any) -> None:
    new = base(kit)
    rename(new)
    (change,) = diff(parse_flow(json.dumps(base(kit))), parse_flow(json.dumps(new)))
    assert (change.kind, change.widget, change.text) == ("renamed", "human", "was called 'person'")
    assert change.to_json() == {"kind": "renamed", "text": "was called 'person'", "widget": "human"}


def test_added_and_removed_widgets(kit: Any) -> None:
    new = copy.deepcopy(base(kit))
    new["states"] = [s for s in new["states"] if s["name"] != "bye"]
    new["states"].append(kit.state("mail", "record-voicemail", {"recordingComplete": "person", "noAudio": None}))
    for t in state(new, "route")["transitions"]:
        t["next"] = "mail" if t["next"] == "bye" else t["next"]
    found = diff(parse_flow(json.dumps(base(kit))), parse_flow(json.dumps(new)))
    assert [(c.kind, c.widget) for c in found] == [
        ("changed", "route"),
        ("changed", "route"),
        ("added", "mail"),
        ("added", "mail"),
        ("removed", "bye"),
    ]
    assert str(found[3]) == "mail: on 'recordingComplete' it goes to 'person'"
