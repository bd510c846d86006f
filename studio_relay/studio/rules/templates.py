"""Liquid by static analysis: syntax, filters, and what a template reads that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from studio_relay.studio.flow import did_you_mean
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.subject import Subject, TemplateUse, is_json_variable, knows_outputs
from studio_relay.studio.subject import entries as entries_of
from studio_relay.studio.widgets import catalog, facts

_ROOTS = ("flow", "trigger", "widgets", "contact")
_FLOW_MEMBERS = ("sid", "flow_sid", "channel", "data", "variables")
_TRIGGER_MEMBERS = {
    "call": "incomingCall",
    "message": "incomingMessage",
    "conversation": "incomingConversationMessage",
    "request": "incomingRequest",
    "parent": "incomingParent",
}


@rule("SR401", "Liquid that cannot be read", severity="warning", impact=8)
def syntax(subject: Subject) -> Iterator[Found]:
    """Studio logs 81018 and the text comes out empty (unverified): nothing is said, nothing matches."""
    from studio_relay.studio.liquid_dialect import environment

    for use, found in subject.templates:
        unknown = sorted(found.filters - environment().filters.keys())
        if found.error:
            hint = "Liquid has no `+`: write {{ x | plus: 1 }}." if "'+'" in found.error else ""
            yield at(use.widget, use.place, f"cannot be rendered (81018): {found.error}", hint=hint)
        elif unknown:
            words = f"cannot be rendered (81018): unknown filter {unknown[0]!r}"
            yield at(use.widget, use.place, words, hint=_filter_hint(unknown[0]))


def _filter_hint(name: str) -> str:
    from studio_relay.studio.liquid_dialect import DOCUMENTED_FILTERS

    return "Studio's filter is `to_json`." if name == "json" else did_you_mean(name, DOCUMENTED_FILTERS).strip()


@rule("SR402", "a filter or tag that is not documented for Studio", severity="notice", impact=2)
def undocumented(subject: Subject) -> Iterator[Found]:
    """It belongs to Liquid at large; that Studio has it is unverified. Try it in an account first."""
    from studio_relay.studio.liquid_dialect import DOCUMENTED_FILTERS, DOCUMENTED_TAGS, environment

    for use, found in subject.templates:
        filters = found.filters & environment().filters.keys()
        odd = sorted((filters - DOCUMENTED_FILTERS) | (found.tags - DOCUMENTED_TAGS))
        if odd:
            yield at(use.widget, use.place, f"{', '.join(odd)}: not documented for Studio")


@rule("SR403", "a variable that does not exist", severity="warning", impact=6)
def unknown_namespaces(subject: Subject) -> Iterator[Found]:
    """A template reads `flow`, `trigger`, `widgets` and `contact`; anything else is empty."""
    for use, found in subject.templates:
        for path in found.paths:
            words = _wrong_namespace(path)
            if words:
                yield at(use.widget, use.place, *words)


def _wrong_namespace(path: tuple[str, ...]) -> tuple[str] | None:
    name = ".".join(path)
    if path[0] not in _ROOTS:
        return (f"{name!r} is empty: nothing is called {path[0]!r}.{did_you_mean(path[0], _ROOTS)}",)
    if path[0] == "flow" and len(path) > 1 and path[1] not in _FLOW_MEMBERS:
        return (f"{name!r} is empty: flow has no {path[1]!r}.{did_you_mean(path[1], _FLOW_MEMBERS)}",)
    if path[0] == "trigger" and len(path) > 1 and path[1] not in _TRIGGER_MEMBERS:
        return (f"{name!r} is empty: trigger has no {path[1]!r}.{did_you_mean(path[1], _TRIGGER_MEMBERS)}",)
    if path[0] == "contact" and path[1:] != ("channel", "address"):
        return (f"{name!r} is empty: only contact.channel.address is filled in",)
    return None


@rule("SR404", "a widget that does not exist is read", severity="warning", impact=8)
def unknown_widgets(subject: Subject) -> Iterator[Found]:
    """It renders empty. Names are case-sensitive."""
    for use, path in _reads(subject):
        if path[1] not in subject.flow.states:
            hint = did_you_mean(path[1], subject.flow.states).strip()
            yield at(use.widget, use.place, f"'widgets.{path[1]}' is empty: there is no such widget", hint=hint)


@rule("SR405", "a widget that never ran before is read", severity="warning", impact=7)
def never_before(subject: Subject) -> Iterator[Found]:
    """No way through the flow passes the widget before the one that reads it, so it renders empty."""
    for use, path in _reads(subject):
        source, reader = subject.flow.states.get(path[1]), use.widget.name
        if source is None or reader not in subject.live:
            continue
        if reader not in subject.after[source.name]:
            words = f"'widgets.{path[1]}' is empty here: the widget is on no way to this one"
            yield at(use.widget, use.place, words)


@rule("SR406", "an output the widget does not have", severity="warning", impact=7)
def unknown_outputs(subject: Subject) -> Iterator[Found]:
    """Outputs are case-sensitive and stand right under the widget's name, without `outputs` in between."""
    for use, path in _reads(subject):
        widget = subject.flow.states.get(path[1])
        known = facts(widget.type) if widget else None
        outputs = knows_outputs(widget) if widget else None
        if widget is None or known is None or outputs is None or len(path) < 3 or path[2].startswith("["):
            continue
        if path[2] not in outputs and not (known.call_outputs and path[2] in catalog().call_parameters):
            words = f"'{'.'.join(path)}' is empty: {widget.type} has no output {path[2]!r}"
            hint = did_you_mean(path[2], [*outputs, *(catalog().call_parameters if known.call_outputs else ())])
            yield at(use.widget, use.place, words, hint=hint.strip())


@rule("SR407", "a member is read of a text that was never parsed", severity="warning", impact=8)
def unparsed_members(subject: Subject) -> Iterator[Found]:
    """`HandoffData` and `body` are texts; parse them with Set Variables of type json_object before reading members."""
    for use, found in subject.templates:
        for path in found.paths:
            if path[0] == "widgets" and len(path) > 3 and path[2] in ("HandoffData", "body"):
                words = f"'{'.'.join(path)}' is empty: {path[2]} is a text"
                yield at(use.widget, use.place, words, hint="Parse it with Set Variables, type json_object.")
            elif path[:2] == ("flow", "variables") and len(path) > 3 and _is_text_variable(subject, *path[2:4]):
                words = f"'{'.'.join(path)}' is empty: the variable {path[2]!r} is stored as text"
                yield at(use.widget, use.place, words, hint="Set its type to json_object in Set Variables.")


def _is_text_variable(subject: Subject, key: str, member: str) -> bool:
    if member == "size":
        return False
    entries = [e for w in subject.variables.get(key, ()) for e in entries_of(w, "variables") if e.get("key") == key]
    return bool(entries) and not any(is_json_variable(entry) for entry in entries)


@rule("SR408", "data of a trigger that never fires here", severity="notice", impact=4)
def wrong_trigger(subject: Subject) -> Iterator[Found]:
    """`trigger.call` is there in executions started by a call only, and so on. The outcome of a relay widget stands in
    `widgets`, not in `trigger.call`."""
    for use, found in subject.templates:
        for path in found.paths:
            if path[0] != "trigger" or len(path) < 2 or use.widget.name not in subject.live:
                continue
            event = _TRIGGER_MEMBERS.get(path[1])
            if path[:3] == ("trigger", "call", "HandoffData") and subject.of_type("run-conversation-relay"):
                relay = subject.of_type("run-conversation-relay")[0].name
                words = "'trigger.call.HandoffData' belongs to relays outside the flow"
                yield at(use.widget, use.place, words, hint=f"Read widgets.{relay}.HandoffData.", severity="warning")
            elif event and use.widget.name not in subject.flow.reachable(event):
                yield at(use.widget, use.place, f"'{'.'.join(path)}' is empty: {event!r} never leads here")


def _reads(subject: Subject) -> Iterator[tuple[TemplateUse, tuple[str, ...]]]:
    for use, found in subject.templates:
        for path in found.paths:
            if path[0] == "widgets" and len(path) > 1 and not path[1].startswith("["):
                yield use, path
