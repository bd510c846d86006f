"""What Twilio accepts in silence about the graph: unreachable widgets, loose ends, loops, a silent start."""

from __future__ import annotations

from collections.abc import Iterator

from studio_relay.studio.conditions import evaluate, parts_of
from studio_relay.studio.diagnostics import Severity
from studio_relay.studio.flow import Condition, Transition, Widget
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.subject import Subject
from studio_relay.studio.widgets import facts

FAILURES = ("failed", "fail", "failedToEnqueue", "callFailure", "deliveryFailure", "providerError", "validationError")
_SILENT = ("make-http-request", "run-function", "run-function-v2", "send-message", "run-subflow")


def _has_next(subject: Subject, widget: Widget, event: str) -> bool:
    return any(t.next in subject.flow.states for t in widget.on(event))


def _loose(subject: Subject, widget: Widget, event: str) -> Transition | None:
    """Where the event's loose end stands, None when it is wired; an event that is not listed is loose too."""
    if _has_next(subject, widget, event):
        return None
    return next(iter(widget.on(event)), Transition(event=event, position=len(widget.transitions)))


def _goes_on(subject: Subject, widget: Widget) -> bool:
    return any(t.next in subject.flow.states for t in widget.transitions)


@rule("SR301", "a widget that nothing leads to", severity="warning", impact=1)
def unreachable(subject: Subject) -> Iterator[Found]:
    """Left over on the canvas, or cut off by mistake. Only the first of a group that hangs together is named."""
    lost = [name for name in subject.flow.states if name not in subject.live and name != subject.flow.initial_state]
    if not subject.live:
        return
    led_to = {name for other in lost for name in subject.after[other] - {other}}
    heads = [name for name in lost if name not in led_to] or lost[:1]
    for name in heads:
        yield at(subject.flow.states[name], "", "no transition leads here from the trigger")


@rule("SR302", "the trigger goes nowhere", severity="warning", impact=9)
def loose_trigger(subject: Subject) -> Iterator[Found]:
    """An execution that starts with an event that is not connected ends at once."""
    if not subject.flow.states or len(subject.flow.states) < 2:
        return
    trigger = subject.flow.trigger
    if not _goes_on(subject, trigger):
        yield at(trigger, "transitions", "no event of the trigger is connected, so every execution ends at once")
    elif not _has_next(subject, trigger, "incomingCall") and _is_meant_for_calls(subject):
        words = "'incomingCall' is not connected, though the flow has widgets for calls: callers are hung up on"
        yield at(trigger, "transitions", words)


def _is_meant_for_calls(subject: Subject) -> bool:
    """Whether it has widgets for calls, and no call can come from a REST start or a parent flow."""
    wired = {t.event for t in subject.flow.trigger.transitions if t.next in subject.flow.states}
    types = (facts(widget.type) for widget in subject.flow.states.values())
    is_voice = any(known is not None and known.channel == "voice" for known in types)
    return is_voice and not wired & {"incomingParent", "incomingRequest"}


@rule("SR303", "a failure that is not wired", severity="warning", impact=7)
def loose_failures(subject: Subject) -> Iterator[Found]:
    """When it happens the branch ends, and a caller hears nothing more. Not reported where the branch ends anyway."""
    for widget in subject.flow.states.values():
        known = facts(widget.type)
        if known is None or widget.name not in subject.live or not _goes_on(subject, widget):
            continue
        for event in known.events if widget.type != "run-conversation-relay" else ():
            if event in FAILURES and (loose := _loose(subject, widget, event)):
                words = f"{event!r} is not connected: the execution ends there"
                severity = _when_nobody_listens(subject, widget)
                yield at(widget, f"transitions/{loose.position}", words, severity=severity)


def _when_nobody_listens(subject: Subject, widget: Widget) -> Severity | None:
    return "notice" if widget.type == "send-message" or widget.name not in subject.on_calls else None


@rule("SR304", "a timeout or a no-match that is not wired", severity="warning", impact=5)
def loose_silence(subject: Subject) -> Iterator[Found]:
    """A caller who says nothing, or something unexpected, is hung up on (81005 for a Split)."""
    for widget in subject.of_type("gather-input-on-call", "split-based-on", "send-and-wait-for-reply"):
        known = facts(widget.type)
        if known is None or widget.name not in subject.live or not _goes_on(subject, widget):
            continue
        for event in ("timeout", "noMatch"):
            if event in known.events and (loose := _loose(subject, widget, event)):
                words = f"{event!r} is not connected: the execution ends there"
                severity: Severity | None = None if widget.name in subject.on_calls else "notice"
                yield at(widget, f"transitions/{loose.position}", words, severity=severity)


@rule("SR305", "a hang-up that is not wired", severity="notice", impact=0)
def loose_hangups(subject: Subject) -> Iterator[Found]:
    """Nothing has to follow a hang-up; wire it to log or to send a message."""
    for widget in subject.flow.states.values():
        known = facts(widget.type)
        if known and "hangup" in known.events and widget.name in subject.live and _goes_on(subject, widget):
            loose = _loose(subject, widget, "hangup")
            if loose:
                yield at(widget, f"transitions/{loose.position}", "'hangup' is not connected")


@rule("SR306", "a condition that tests something else than the Split", severity="warning", impact=6)
def stale_conditions(subject: Subject) -> Iterator[Found]:
    """It happens after the input was edited. Which of the two Studio evaluates is unverified."""
    for widget in subject.of_type("split-based-on"):
        source = _folded(widget.text("input"))
        for t in widget.transitions:
            for number, condition in enumerate(t.conditions):
                if condition.arguments and source and _folded(condition.arguments[0]) != source:
                    place = f"transitions/{t.position}/conditions/{number}/arguments/0"
                    words = f"tests {condition.arguments[0]!r}, but the widget's input is {widget.text('input')!r}"
                    yield at(widget, place, words, hint="Choose the variable again in the Split.")


def _folded(text: str) -> str:
    return "".join(text.split())


@rule("SR307", "a match that can never be taken", severity="warning", impact=6)
def shadowed_matches(subject: Subject) -> Iterator[Found]:
    """Matches are tried in list order and the first wins; one before it takes everything this one would."""
    for widget in subject.of_type("split-based-on"):
        matches = [t for t in widget.on("match") if len(t.conditions) == 1]
        for number, t in enumerate(matches):
            earlier = next(
                (other for other in matches[:number] if _takes_all(other.conditions[0], t.conditions[0])), None
            )
            if earlier and earlier.next != t.next:
                words = f"'{t.conditions[0]}' is never reached: '{earlier.conditions[0]}' before it takes it all"
                yield at(widget, f"transitions/{t.position}/conditions", words)


def _takes_all(first: Condition, second: Condition) -> bool:
    """Whether whatever satisfies the second condition satisfies the first; False where that cannot be told."""
    if [_folded(a) for a in first.arguments] != [_folded(a) for a in second.arguments] or "{{" in second.value:
        return False
    if (first.type, first.value.strip().lower()) == (second.type, second.value.strip().lower()):
        return True
    values = {"equal_to": [second.value], "matches_any_of": parts_of(second.value)}.get(second.type)
    return bool(values) and all(evaluate(first.type, value, first.value).holds for value in values or ())


@rule("SR308", "a widget that leads to itself", severity="warning", impact=4)
def self_loops(subject: Subject) -> Iterator[Found]:
    """Twilio ends the execution when the same widget runs ten times in a row (81001)."""
    for widget in subject.flow.states.values():
        events = [t.event for t in widget.transitions if t.next == widget.name]
        if events and widget.name in subject.live:
            place = next(t.position for t in widget.transitions if t.next == widget.name)
            words = (
                f"{', '.join(map(repr, events))} leads back to the same widget; the tenth time ends the call (81001)"
            )
            hint = "Put a counter and another widget in between."
            yield at(widget, f"transitions/{place}/next", words, hint=hint)


@rule("SR309", "a loop without input or counter", severity="warning", impact=8)
def blind_loops(subject: Subject) -> Iterator[Found]:
    """Nothing in it waits for the caller and nothing counts: it runs until Twilio ends it at 1,000 steps (81000)."""
    quiet = [name for name in subject.flow.states if name in subject.live and not _waits(subject.flow.states[name])]
    for loop in _loops(subject, quiet):
        widgets = [subject.flow.states[name] for name in loop]
        if len(loop) > 1 and not any(_counts(widget) for widget in widgets):
            words = f"the loop {' -> '.join([*loop, loop[0]])} neither waits for input nor counts"
            yield at(widgets[0], "transitions", words, hint="Count the rounds with Set Variables and a Split.")


def _waits(widget: Widget) -> bool:
    known = facts(widget.type)
    return known is None or known.caller_input or widget.type in ("connect-call-to", "enqueue-call", "send-to-flex")


def _counts(widget: Widget) -> bool:
    return widget.type == "set-variables" and any(word in str(widget.properties) for word in ("plus", "minus"))


def _loops(subject: Subject, names: list[str]) -> Iterator[list[str]]:
    """Groups of widgets that can reach each other without leaving `names`, in file order."""
    allowed, done = set(names), set[str]()
    reach = {name: _reach(subject, name, allowed) for name in names}
    for name in names:
        if name in done or name not in reach[name]:
            continue
        group = [other for other in names if other in reach[name] and name in reach[other]]
        done.update(group)
        yield group


def _reach(subject: Subject, start: str, allowed: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for t in subject.flow.states[waiting.pop()].transitions:
            if t.next in allowed and t.next is not None and t.next not in found:
                found.add(t.next)
                waiting.append(t.next)
    return found


@rule("SR310", "the call opens with silence", severity="warning", impact=6)
def silent_start(subject: Subject) -> Iterator[Found]:
    """Before the caller hears a first word the flow asks a server, which may take ten seconds, or leaves the first word
    to an agent. Say something first."""
    seen: set[str] = set()
    waiting = [t.next for t in subject.flow.trigger.on("incomingCall")] if subject.flow.states else []
    while waiting:
        name = waiting.pop(0)
        if name is None or name in seen or name not in subject.flow.states:
            continue
        seen.add(name)
        widget = subject.flow.states[name]
        if widget.type in ("set-variables", "split-based-on"):
            waiting += [t.next for t in widget.transitions]
        elif widget.type in _SILENT and any(_speaks(subject, t.next) for t in widget.transitions):
            yield at(widget, "", "comes before the caller has heard a word, and may take ten seconds")
        elif widget.type == "run-conversation-relay" and not widget.text("welcome_greeting").strip():
            words = "is the first the caller meets, and has no greeting: silence, unless the agent speaks first"
            yield at(widget, "", words, hint="Put a short Say/Play before it.", severity="notice")


def _speaks(subject: Subject, name: str | None) -> bool:
    """Whether a voice widget comes at or after `name`."""
    if name is None or name not in subject.flow.states:
        return False
    later = (facts(subject.flow.states[other].type) for other in (name, *subject.after[name]))
    return any(known is not None and known.channel == "voice" for known in later)


@rule("SR311", "nothing to say, or too much", severity="warning", impact=6)
def speech(subject: Subject) -> Iterator[Found]:
    """Say/Play takes exactly one of say, play and digits; Gather one of say and play."""
    for widget in subject.of_type("say-play", "gather-input-on-call"):
        keys = ("say", "play", "digits") if widget.type == "say-play" else ("say", "play")
        given = [key for key in keys if widget.text(key).strip()]
        if not given and any(key in widget.properties for key in keys):
            key = next(key for key in keys if key in widget.properties)
            yield at(widget, f"properties/{key}", "is empty: the caller hears nothing")
        elif not given:
            yield at(widget, "properties", f"there is neither {' nor '.join(keys)}: the caller hears nothing")
        elif len(given) > 1:
            words = f"{' and '.join(given)} are both set; only one is used"
            yield at(widget, f"properties/{given[1]}", words)


@rule("SR312", "a message without a body", severity="warning", impact=4)
def empty_messages(subject: Subject) -> Iterator[Found]:
    """A message needs a body, a picture or a template."""
    for widget in subject.of_type("send-message", "send-and-wait-for-reply"):
        if not any(widget.text(key).strip() for key in ("body", "media_url", "content_sid", "content_template_sid")):
            yield at(widget, "properties/body", "the message is empty")


@rule("SR313", "recording starts before the first word", severity="warning", impact=3)
def early_recording(subject: Subject) -> Iterator[Found]:
    """Call Recording works only after a first Say/Play or Gather."""
    for widget in subject.of_type("record-call"):
        before = [
            w.name for w in subject.of_type("say-play", "gather-input-on-call") if widget.name in subject.after[w.name]
        ]
        if widget.name in subject.on_calls and not before:
            yield at(widget, "", "no Say/Play or Gather comes before the recording, so it fails")
