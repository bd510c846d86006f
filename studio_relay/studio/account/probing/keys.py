"""Which properties the widget has, and of which JSON type; what is required and which values count is `details`'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from studio_relay.studio.account.probing.asker import Answer, Answers, likely_group
from studio_relay.studio.account.probing.candidates import (
    CONTROL,
    IMPOSSIBLE,
    SECOND_IMPOSSIBLE,
    Alternative,
    Candidate,
    candidates,
)
from studio_relay.studio.account.probing.inquiry import Finding, Inquiry
from studio_relay.studio.account.probing.questions import Question
from studio_relay.studio.account.probing.words import form, names

WORTH_ASKING = 0.02
"""How likely an answer of yes has to be for a question where requests are few."""
_RARE = 0.05
_EXPECTED = 0.5
_REFUSALS_AT_ONCE = 8.0
_USUAL_RATE = 0.25


def find_keys(inquiry: Inquiry) -> None:
    """Settle which properties exist and of which type each is, as far as requests go."""
    asker = inquiry.asker
    asker.reserve = _reserve(inquiry)
    if inquiry.ignores_unknown:
        worth = {name: one for name, one in candidates().keys.items() if asker.names != "none" or not one.is_remote}
        everything = {**worth, **{name: inquiry.finding(name).candidate for name in inquiry.base}}
        expected = [one for one in everything.values() if one.likely >= _EXPECTED]
        _find_existing(inquiry, expected)
        if asker.names == "none":
            ask_types(inquiry, at_least=WORTH_ASKING)
        _find_existing(inquiry, [one for one in everything.values() if one not in expected])
    elif asker.names == "all":
        _find_named(inquiry, candidates().keys.values())
    if asker.names == "all":
        _ask_every_value(inquiry)
    if asker.names != "all":
        ask_types(inquiry, at_least=WORTH_ASKING)
    asker.reserve = 0


def _reserve(inquiry: Inquiry) -> int:
    """Requests to keep for events and required properties, which are asked for last."""
    size = len(inquiry.base)
    if inquiry.asker.names == "none":
        return 5 if size <= 2 else 10
    return 8 + size


def ask_types(inquiry: Inquiry, *, at_least: float) -> None:
    """Ask each property for one type after the other, the likeliest first, until one is accepted."""
    lines = [_Line(finding=inquiry.finding(name)) for name in _open_names(inquiry)]
    for line in lines:
        line.heed(inquiry)
    while True:
        beliefs = _Beliefs.of(inquiry)
        asked = {line.question(inquiry, beliefs): line for line in lines if line.rest}
        worth = [question for question in asked if question.likely >= at_least]
        group = _group(inquiry, worth)
        one_bit = inquiry.asker.names == "none"
        answers = inquiry.asker.step(group) if one_bit else inquiry.asker.settle(group)
        if not answers:
            return
        inquiry.record(answers)
        for question, answer in answers.items():
            asked[question].take(inquiry, answer)


def _open_names(inquiry: Inquiry) -> list[str]:
    """The properties whose type is open: the known ones, or where nothing else is known all that are likely."""
    if inquiry.ignores_unknown:
        names_ = [name for name, finding in inquiry.findings.items() if finding.exists]
    else:
        worth = [name for name, one in candidates().keys.items() if not one.is_remote]
        names_ = [*dict.fromkeys((*worth, *inquiry.findings))]
    return [name for name in names_ if not _settled(inquiry.finding(name)) and name != CONTROL]


def _settled(finding: Finding) -> bool:
    return bool(finding.accepted) or finding.exists is False


def _group(inquiry: Inquiry, questions: Sequence[Question]) -> Sequence[Question]:
    """What to ask at once. Where one fault a time is named, so many that a handful of refusals is expected."""
    if inquiry.asker.names == "none":
        return likely_group(questions)
    ordered = sorted(questions, key=lambda question: -question.likely)
    expected = 0.0
    for number, question in enumerate(ordered):
        expected += 1 - question.likely
        if expected > _REFUSALS_AT_ONCE:
            return ordered[: max(1, number)]
    return ordered


# ---------------------------------------------------------------------------------------- one type after the other


@dataclass(frozen=True, kw_only=True)
class _Beliefs:
    """What the answers so far say about the next: how many of TwiML's attributes exist, how flags are written."""

    rate: float
    flags_as_text: float

    @classmethod
    def of(cls, inquiry: Inquiry) -> _Beliefs:
        maybe = [one for one in inquiry.findings.values() if _RARE < one.candidate.likely < _EXPECTED]
        there = sum(one.exists is True for one in maybe)
        gone = sum(not one.exists and bool(one.refused or one.accepted or one.exists is False) for one in maybe)
        flags = [one for one in inquiry.findings.values() if one.candidate.kind == "flag" and one.exists]
        texts = sum(any(isinstance(value, str) for value in one.accepted) for one in flags)
        booleans = sum(any(value is True for value in one.accepted) for one in flags)
        return cls(
            rate=(_USUAL_RATE * 6 + there) / (6 + there + gone),
            flags_as_text=(texts + 0.7) / (texts + booleans + 1.4),
        )

    def exists(self, candidate: Candidate) -> float:
        if not _RARE < candidate.likely < _EXPECTED:
            return candidate.likely
        return min(0.9, candidate.likely / _USUAL_RATE * self.rate)

    def weight(self, candidate: Candidate, alternative: Alternative) -> float:
        if candidate.kind != "flag" or alternative.json not in ("string", "boolean"):
            return alternative.weight
        return 0.96 * (self.flags_as_text if alternative.json == "string" else 1 - self.flags_as_text)


@dataclass(kw_only=True)
class _Line:
    """One property and the alternatives that are still to be asked for."""

    finding: Finding
    rest: list[Alternative] = field(init=False)
    tried: list[Alternative] = field(default_factory=list)
    told: bool = False
    """Whether a refusal's words said which alternative it would be."""

    def __post_init__(self) -> None:
        options = self.finding.candidate.alternatives()
        self.tried = [one for one in options if self.finding.was_asked(one.value)]
        self.rest = [one for one in options if not self.finding.was_asked(one.value)]

    def question(self, inquiry: Inquiry, beliefs: _Beliefs) -> Question:
        """Is the likeliest alternative accepted?"""
        candidate = self.finding.candidate
        self.rest.sort(key=lambda one: -beliefs.weight(candidate, one))
        exists = 1.0 if self.finding.exists else beliefs.exists(candidate)
        gone = sum(beliefs.weight(candidate, one) for one in self.tried)
        likely = exists * beliefs.weight(candidate, self.rest[0]) / max(1 - exists * gone, 0.05)
        likely = 0.9 if self.told else min(0.98, likely)
        return inquiry.question(candidate.name, self.rest[0].value, likely)

    def take(self, inquiry: Inquiry, answer: Answer) -> None:
        """Go on to the next alternative, to the one that the refusal's words ask for, or to the end."""
        if answer.accepted or self.finding.exists is False:
            self.rest = []
            return
        self.tried.append(self.rest.pop(0))
        self.heed(inquiry)

    def heed(self, inquiry: Inquiry) -> None:
        """Keep only what the words of refusals ask for, if they ask for anything that is left."""
        wanted = self.finding.expected if inquiry.words_tell or inquiry.ignores_unknown else None
        listed = [value for value in self.finding.listed if value not in [one.value for one in self.tried]]
        fitting = [one for one in self.rest if one.json.replace("pairs", "array") == wanted]
        if listed:
            self.rest = [Alternative(json="string", value=listed[0], weight=0.9)]
        elif fitting:
            self.rest = fitting
        self.told = bool(listed or fitting)


# ------------------------------------------------------------------------------------------------ many at once


def _find_existing(inquiry: Inquiry, keys: Iterable[Candidate]) -> None:
    """Where unknown properties are ignored: one of which an impossible value is refused exists.

    A list of anything takes the first impossible value, so a number is asked for as well.
    """
    pending = [one for one in keys if inquiry.finding(one.name).exists is None]
    for one in pending:
        inquiry.finding(one.name).accepted.clear()  # that it was accepted may only mean that it was ignored
    lists = [one for one in pending if one.kind == "pairs"]
    others = [one for one in pending if one.kind != "pairs"]
    accepted = _accepting(inquiry, others, IMPOSSIBLE, surely=False)
    unlikely = _accepting(inquiry, accepted, SECOND_IMPOSSIBLE, surely=True)
    accepted = _accepting(inquiry, lists, SECOND_IMPOSSIBLE, surely=False)
    for one in [*unlikely, *_accepting(inquiry, accepted, IMPOSSIBLE, surely=True)]:
        inquiry.finding(one.name).exists = False
        inquiry.finding(one.name).accepted.clear()


def _accepting(inquiry: Inquiry, keys: Iterable[Candidate], value: object, *, surely: bool) -> list[Candidate]:
    """The properties for which the value is accepted; expected of nearly all if `surely`."""
    pending, accepting = list(keys), []
    while pending:
        beliefs = _Beliefs.of(inquiry)
        questions = [
            inquiry.question(one.name, value, max(0.985, 1 - one.likely) if surely else 1 - beliefs.exists(one))
            for one in pending
        ]
        answers = inquiry.asker.step(questions)
        if not answers:
            break
        inquiry.record(answers)
        settled = {question.about: answer.accepted for question, answer in answers.items()}
        accepting += [one for one in pending if settled.get(one.name)]
        pending = [one for one in pending if one.name not in settled]
    return accepting


def _find_named(inquiry: Inquiry, keys: Iterable[Candidate]) -> None:
    """Where every fault is named, and unknown properties in words of their own: those words tell which exist."""
    control = inquiry.question(CONTROL, IMPOSSIBLE)
    questions = [inquiry.question(one.name, IMPOSSIBLE) for one in keys]
    answers = _settle_while_all_are_named(inquiry, [control, *questions])
    said = answers.pop(control, Answer(accepted=True)).complaints
    inquiry.unknown_forms |= {form(one, CONTROL) for one in said}
    inquiry.record(answers)


def _ask_every_value(inquiry: Inquiry) -> None:
    """Every value for every property that exists or may; then those that refusals list, and properties they name."""
    _ask_values_of(inquiry, list(inquiry.findings))
    named = _named_in_words(inquiry)
    if named and inquiry.ignores_unknown:
        _find_existing(inquiry, [inquiry.finding(name).candidate for name in named])
    elif named:
        _find_named(inquiry, [inquiry.finding(name).candidate for name in named])
    _ask_values_of(inquiry, named)


def _ask_values_of(inquiry: Inquiry, keys: Sequence[str]) -> None:
    maybe = [name for name in keys if inquiry.finding(name).exists is not False and name != CONTROL]
    if inquiry.ignores_unknown:
        maybe = [name for name in maybe if inquiry.finding(name).exists]
    asked = [q for name in maybe for q in _values(inquiry, name, _worth_asking(inquiry.finding(name)))]
    inquiry.record(_settle_while_all_are_named(inquiry, asked))
    listed = [q for name in maybe for q in _values(inquiry, name, inquiry.finding(name).listed)]
    inquiry.record(_settle_while_all_are_named(inquiry, listed))


def _settle_while_all_are_named(inquiry: Inquiry, questions: Sequence[Question]) -> Answers:
    """The answers, or some of them where it turns out that a refusal does not name every fault."""
    answers: Answers = {}
    while pending := [question for question in questions if question not in answers]:
        found = inquiry.asker.step(pending) if inquiry.asker.names == "all" else {}
        if not found:
            break
        answers |= found
    return answers


def _worth_asking(finding: Finding) -> Iterable[object]:
    """Every value for what exists or may well exist; one of each type for a name that only may."""
    if finding.exists or finding.candidate.likely >= _RARE:
        return finding.candidate.values()
    return [one.value for one in finding.candidate.alternatives()]


def _values(inquiry: Inquiry, name: str, values: Iterable[object]) -> list[Question]:
    finding = inquiry.finding(name)
    return [inquiry.question(name, value) for value in values if not finding.was_asked(value)]


def _named_in_words(inquiry: Inquiry) -> list[str]:
    """Names in refusals that we had not thought of."""
    said = [one for finding in inquiry.findings.values() for refusal in finding.refused for one in refusal.complaints]
    found = dict.fromkeys(name for complaint in said for name in names(complaint) if "_" in name)
    return [name for name in found if name not in inquiry.findings and not name.startswith("probe")]
