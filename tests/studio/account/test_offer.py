"""What the facts would change in the table of widgets: lines of the relay widget alone, and only what is known."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from studio_relay.errors import FlowError
from studio_relay.studio.account.probing.facts import Facts, Property
from studio_relay.studio.account.probing.offer import offered
from studio_relay.studio.writing import text_diff

TABLE = files("studio_relay.studio").joinpath("widgets.toml").read_text(encoding="utf-8")
RELAY = "run-conversation-relay"


def facts(properties: dict[str, Property], *, none: tuple[str, ...] = (), events: tuple[str, ...] = ()) -> Facts:
    return Facts(
        asked=17,
        names="all",
        unknown_properties="refused",
        unknown_events="refused",
        properties=properties,
        not_properties=none,
        not_accepted={},
        undetermined=(),
        events=events,
        not_events=(),
        event_words=(),
        unknown_words=(),
    )


def test_learnt_properties_are_changed_added_and_taken_out_and_open_ones_stay() -> None:
    learnt = {
        "url": Property(json="string", required=True),
        "dtmf_detection": Property(json="boolean", required=False),
        "voice": Property(json="undetermined", required=None),
        "interruptible": Property(json="string", required=False, one_of=("any", "none"), one_of_complete=True),
        "tts_provider": Property(json="string", required=False, one_of=("Google",), one_of_complete=False),
        "eot_threshold": Property(json="number", required=False),
    }
    new = tomllib.loads(offered(TABLE, facts(learnt, none=("hints",), events=("failed", "hangup", "success"))))
    old = tomllib.loads(TABLE)
    widget, before = new["widgets"].pop(RELAY), old["widgets"].pop(RELAY)
    assert new == old
    assert widget["events"] == ["success", "failed", "hangup"]
    assert widget["certainty"] == "validator"
    rows = widget["properties"]
    assert rows["dtmf_detection"] == {"json": "boolean", "certainty": "validator"}
    assert rows["voice"] == {"json": "string", "certainty": "validator"}
    assert rows["interruptible"]["one_of"] == ["any", "none"]
    assert "one_of" not in rows["tts_provider"]
    assert rows["eot_threshold"] == {"json": "any", "certainty": "validator"}
    assert rows["language"] == before["properties"]["language"]
    assert "hints" not in rows


def test_what_is_there_already_is_no_change() -> None:
    once = offered(TABLE, facts({"url": Property(json="string", required=True)}))
    assert offered(once, facts({"url": Property(json="string", required=True)})) == once
    assert text_diff(TABLE, once, "widgets.toml").count("\n+") == 3  # its head, the widget's certainty, the property


def test_another_table_is_refused() -> None:
    with pytest.raises(FlowError, match=r"expected a table of widgets with \[widgets.run-conversation-relay\]"):
        offered("[widgets]\n", facts({}))
