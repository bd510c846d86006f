"""What is left once the properties are known: which are required, which events there are, which values count."""

from __future__ import annotations

from collections.abc import Iterator

from studio_relay.studio.account.probing.candidates import CONTROL_EVENT, FREE_TEXT, REMOTE, candidates, json_type
from studio_relay.studio.account.probing.inquiry import Finding, Inquiry
from studio_relay.studio.account.probing.questions import Question
from studio_relay.studio.account.probing.words import listed

LIQUID_URL = "{{flow.variables.probe}}"
_EXPECTED_EVENT = 0.5
_RARE_EVENT = 0.1


def find_required(inquiry: Inquiry) -> None:
    """A property of the accepted widget is required if the widget is refused without it; no other can be."""
    questions = {}
    for name in inquiry.base:
        rest = {key: value for key, value in inquiry.base.items() if key != name}
        likely = 0.05 if name == "url" or len(inquiry.base) == 2 else 0.85
        questions[name] = Question(properties=rest, about=name, likely=likely)
    answers = inquiry.asker.settle(list(questions.values()))
    for name, question in questions.items():
        if question in answers:
            inquiry.finding(name).required = not answers[question].accepted


def find_events(inquiry: Inquiry) -> None:
    """Which events the widget may have transitions for. Where one that cannot exist is accepted, none is known."""
    known = candidates().events
    expected = [name for name, likely in known.items() if likely >= _EXPECTED_EVENT]
    rare = [name for name, likely in known.items() if likely < _RARE_EVENT]
    if inquiry.asker.names == "none":
        _ask_events(inquiry, {CONTROL_EVENT: 0.2})
        _ask_events(inquiry, {name: known[name] for name in expected})
    else:
        _ask_events(inquiry, {CONTROL_EVENT: 0.2, **{name: known[name] for name in expected}})
    inquiry.ignores_events = inquiry.events.pop(CONTROL_EVENT, None)
    inquiry.event_words.pop(CONTROL_EVENT, None)
    if inquiry.ignores_events:
        inquiry.events.clear()
        return
    _ask_events(inquiry, {name: known[name] for name in known if name not in (*expected, *rare)})
    if inquiry.asker.names == "all":
        _ask_events(inquiry, {name: known[name] for name in rare})


def ask_rare_events(inquiry: Inquiry) -> None:
    """Spend what is left on events we hardly expect."""
    if inquiry.ignores_events is False:
        rare = {name: one for name, one in candidates().events.items() if name not in inquiry.events and one > REMOTE}
        _ask_events(inquiry, rare)


def _ask_events(inquiry: Inquiry, events: dict[str, float]) -> None:
    questions = [
        Question(properties=inquiry.base, events=(name,), about=name, likely=likely) for name, likely in events.items()
    ]
    named: list[str] = []
    for question, answer in inquiry.asker.settle(questions).items():
        inquiry.events[question.about] = answer.accepted
        inquiry.event_words[question.about] = answer.complaints
        named += [name for one in answer.complaints for name in listed(one.message)]
    news = {name: 0.7 for name in named if name.isidentifier() and name not in inquiry.events and name != CONTROL_EVENT}
    if news:
        _ask_events(inquiry, news)


def find_shapes(inquiry: Inquiry) -> None:
    """Where one value of a type was accepted: does a list take any entry, a number fractions?"""
    shapes = {"pairs": (["probe"], 0.3), "integer": (0.8, 0.2)}
    questions = []
    for name, finding in list(inquiry.findings.items()):
        kinds = {json_type(value) for value in finding.accepted} if finding.exists else set()
        for kind, (value, likely) in shapes.items():
            if kind in kinds and not finding.was_asked(value):
                questions.append(inquiry.question(name, value, likely))
    inquiry.settle(questions)


def find_values(inquiry: Inquiry) -> None:
    """Where not every value was asked for: which texts are free, whether the URL may be Liquid, what lists hold."""
    inquiry.settle(list(_text_questions(inquiry)))
    choices = [finding for finding in inquiry.findings.values() if _is_choice(finding)]
    inquiry.settle([question for finding in choices for question in _choice_questions(inquiry, finding)])


def _text_questions(inquiry: Inquiry) -> Iterator[Question]:
    for name, finding in list(inquiry.findings.items()):
        if not finding.exists or not any(isinstance(value, str) for value in finding.accepted):
            continue
        if name == "url":
            yield inquiry.question(name, LIQUID_URL, 0.6)
        elif finding.candidate.kind != "flag":
            yield inquiry.question(name, FREE_TEXT, 0.5 if finding.candidate.kind == "choice" else 0.95)


def _is_choice(finding: Finding) -> bool:
    """Whether some text is accepted and free text is not."""
    refused = [refusal.value for refusal in finding.refused]
    return FREE_TEXT in refused and any(isinstance(value, str) for value in finding.accepted)


def _choice_questions(inquiry: Inquiry, finding: Finding) -> Iterator[Question]:
    for value in dict.fromkeys((*finding.listed, *finding.candidate.say)):
        if not finding.was_asked(value):
            yield inquiry.question(finding.candidate.name, value, 0.9 if value in finding.listed else 0.55)
