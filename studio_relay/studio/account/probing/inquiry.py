"""What an investigation knows so far: the accepted widget it builds on, and the answers for each property and event.

Records and does not judge; `facts` concludes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio_relay.studio.account.probing.asker import Answer, Answers, Asker
from studio_relay.studio.account.probing.candidates import Candidate, candidates, is_among, json_type
from studio_relay.studio.account.probing.questions import Question
from studio_relay.studio.account.probing.words import Complaint, expected_type, form, listed


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A value that was refused, with the validator's words, if it had any."""

    value: Any
    complaints: tuple[Complaint, ...] = ()


@dataclass(kw_only=True)
class Finding:
    """The answers about one property. `exists` is None while that is open."""

    candidate: Candidate
    exists: bool | None = None
    accepted: list[Any] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    required: bool | None = None

    def was_asked(self, value: Any) -> bool:
        """Whether the answer for this value is known."""
        return is_among(value, [*self.accepted, *(refusal.value for refusal in self.refused)])

    @property
    def listed(self) -> tuple[str, ...]:
        """The values that refusals of texts named as the allowed ones."""
        texts = [refusal for refusal in self.refused if isinstance(refusal.value, str)]
        said = [listed(one.message) for refusal in texts for one in refusal.complaints]
        return next((values for values in said if len(values) > 1), ())

    @property
    def expected(self) -> str | None:
        """The JSON type that refusals of other types named."""
        for refusal in self.refused:
            sent = json_type(refusal.value).replace("pairs", "array")
            for one in refusal.complaints:
                if found := expected_type(one.message, sent):
                    return found
        return None


@dataclass(kw_only=True)
class Inquiry:
    """One investigation under way. `ignores_unknown` and `ignores_events`: None while that is open."""

    asker: Asker
    base: dict[str, Any] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    ignores_unknown: bool | None = None
    ignores_events: bool | None = None
    events: dict[str, bool] = field(default_factory=dict)
    event_words: dict[str, tuple[Complaint, ...]] = field(default_factory=dict)
    unknown_complaints: tuple[Complaint, ...] = ()
    unknown_forms: set[str] = field(default_factory=set)
    """How refusals of a property that cannot exist look."""
    words_tell: bool = False
    """Whether refusals of an unknown property differ from those of a wrong value."""

    def finding(self, name: str) -> Finding:
        """The record of a property, begun if it is new."""
        if name not in self.findings:
            candidate = candidates().keys.get(name) or Candidate(name=name, likely=0.5)
            self.findings[name] = Finding(candidate=candidate)
        return self.findings[name]

    def question(self, name: str, value: Any, likely: float = 0.5) -> Question:
        """Is this value accepted for this property?"""
        return Question(properties={**self.base, name: value}, about=name, value=value, likely=likely)

    def settle(self, questions: Sequence[Question]) -> Answers:
        """Ask questions about values of properties, and record the answers."""
        answers = self.asker.settle(questions)
        self.record(answers)
        return answers

    def record(self, answers: Mapping[Question, Answer]) -> None:
        """Keep answers about values of properties; in the order in which they were asked."""
        for question, answer in answers.items():
            finding = self.finding(question.about)
            if answer.accepted:
                finding.accepted.append(question.value)
                finding.exists = True if self.ignores_unknown is False else finding.exists
            else:
                finding.refused.append(Refusal(value=question.value, complaints=answer.complaints))
                self._conclude_from_refusal(finding, answer.complaints)

    def note_optional(self) -> None:
        """A property that the accepted widget does without is not required."""
        for name, finding in self.findings.items():
            if name not in self.base and finding.exists:
                finding.required = False

    def is_unknown_word(self, name: str, complaints: Iterable[Complaint]) -> bool:
        """Whether a refusal says what is said of a property that cannot exist."""
        return any(form(one, name) in self.unknown_forms for one in complaints)

    def _conclude_from_refusal(self, finding: Finding, complaints: tuple[Complaint, ...]) -> None:
        if self.ignores_unknown is True:
            finding.exists = True
        elif self.words_tell and complaints and finding.exists is None:
            finding.exists = not self.is_unknown_word(finding.candidate.name, complaints)
