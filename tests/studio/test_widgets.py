"""The table of widget facts is whole and consistent."""

from __future__ import annotations

import pytest

from studio_relay.studio.widgets import WidgetFacts, catalog, facts

WIDGETS = sorted(catalog().widgets)


def test_the_types_of_the_published_schema_are_all_there() -> None:
    published = """
        add-member-to-chat-channel add-twiml-redirect capture-payments connect-call-to connect-virtual-agent
        connect-virtual-agent-v2 create-chat-channel create-task enqueue-call fork-stream gather-input-on-call
        make-http-request make-outgoing-call-v1 make-outgoing-call-v2 record-call record-voicemail
        resume-conversation run-conversation-relay run-function run-function-v2 run-subflow say-play
        send-and-wait-for-reply send-message send-to-auto-pilot send-to-flex set-variables split-based-on
        start-conversation trigger understand update-sync-object
    """
    assert published.split() == WIDGETS


@pytest.mark.parametrize("name", WIDGETS)
def test_each_type_is_consistent(name: str) -> None:
    known = facts(name)
    assert isinstance(known, WidgetFacts)
    assert known.certainty in ("exports", "schema", "validator", "skill", "guess", "listed")
    assert known.default_event is None or known.default_event in known.events
    assert len(set(known.events)) == len(known.events)
    assert bool(known.events) or known.certainty == "listed"
    for spec in known.properties.values():
        assert spec.json in ("string", "integer", "boolean", "array", "object", "pairs", "any")
        assert not spec.one_of or spec.json == "string"


def test_stand_ins_lead_to_what_exists_and_from_what_does_not() -> None:
    table = catalog()
    keys = {key for known in table.widgets.values() for key in known.properties}
    events = {event for known in table.widgets.values() for event in known.events}
    assert set(table.stand_ins.types.values()) <= set(table.widgets)
    assert not set(table.stand_ins.types) & set(table.widgets)
    assert not set(table.stand_ins.no_such_type) & set(table.widgets)
    assert set(table.stand_ins.keys.values()) <= keys
    assert not set(table.stand_ins.keys) & keys
    assert set(table.stand_ins.events.values()) <= events


def test_the_relay_widget_is_marked_as_known_from_one_source() -> None:
    known = facts("run-conversation-relay")
    assert known is not None
    assert known.certainty == "skill"
    assert known.open_properties
    assert known.properties["hints"].certainty == "guess"
    assert facts("no-such-type") is None
