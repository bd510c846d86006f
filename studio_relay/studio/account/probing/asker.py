"""Asks questions in as few requests as the answers allow; decides nothing about what they mean.

Where a refusal names the widgets it is about, they are taken out and the rest is asked again, until what is left
is accepted: this holds whether all faults are named at once, some, or only the first. Where it names none, a
request brings one bit, and questions are put together so that yes and no are about as likely: a yes settles all
of them, a no is searched for one refused question by halving.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from studio_relay.studio.account.probing.questions import PREFIX, Question, definition
from studio_relay.studio.account.probing.words import Complaint, Verdict, names, place, widget

Ask = Callable[[Mapping[str, Any]], Verdict]
Names = Literal["undetermined", "all", "some", "first", "none"]

MOST_QUESTIONS = 250
"""Widgets in one definition; Twilio's published schema ends at 1,000 states."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether a question's widget was accepted, with the complaints about it."""

    accepted: bool
    complaints: tuple[Complaint, ...] = ()


Answers = dict[Question, Answer]


class Asker:
    """Sends at most `most` requests. `names` is which faults the validator names."""

    def __init__(self, ask: Ask, *, most: int, progress: Callable[[int, int], None] | None = None) -> None:
        self._ask = ask
        self._progress = progress
        self.most = most
        self.asked = 0
        self.names: Names = "undetermined"
        self.reserve = 0
        """Requests that are kept for later."""
        self._passed_over: set[Question] = set()

    @property
    def left(self) -> int:
        return max(0, self.most - self.reserve - self.asked)

    def settle(self, questions: Sequence[Question]) -> Answers:
        """The answer to each question; those that no request was left for are not in it."""
        answers: Answers = {}
        while pending := [question for question in questions if question not in answers]:
            found = self.step(pending)
            if not found:
                break
            answers |= found
        return answers

    def step(self, questions: Sequence[Question]) -> Answers:
        """Some of the answers, at least one as long as requests are left."""
        if not questions or not self.left:
            return {}
        if self.names == "none":
            return self._one_refused(likely_group(questions))
        group = list(questions[:MOST_QUESTIONS])
        verdict = self.send(group)
        if verdict.valid:
            return dict.fromkeys(group, Answer(accepted=True))
        blamed = _blamed(verdict, group)
        if blamed:
            self._notice(blamed, group)
            return {question: Answer(accepted=False, complaints=tuple(said)) for question, said in blamed.items()}
        if len(group) == 1:
            return {group[0]: Answer(accepted=False, complaints=verdict.complaints)}
        self.names = "none"
        return self._one_refused(_by_likelihood(group), known_to_fail=True)

    def send(self, questions: Sequence[Question]) -> Verdict:
        """One request."""
        self.asked += 1
        verdict = self._ask(definition(questions))
        if self._progress:
            self._progress(self.asked, self.most)
        return verdict

    def _notice(self, blamed: Collection[Question], group: Sequence[Question]) -> None:
        """What this refusal says about refusals: one for a question that an earlier one passed over was left out."""
        if self._passed_over & set(blamed) and self.names == "all":
            self.names = "some"
        elif len(blamed) > 1 and self.names != "some":
            self.names = "all"
        elif self.names == "undetermined" and len(group) > 1:
            self.names = "first"
        self._passed_over = set(group) - set(blamed)

    def _one_refused(self, group: Sequence[Question], *, known_to_fail: bool = False) -> Answers:
        """Ask for the group; if it is refused, find one refused question in it."""
        answers: Answers = {}
        said: tuple[Complaint, ...] = ()
        if not known_to_fail:
            verdict = self.send(group)
            if verdict.valid:
                return dict.fromkeys(group, Answer(accepted=True))
            said = verdict.complaints
        while len(group) > 1:
            if not self.left:
                return answers
            half = _even_split(group)
            verdict = self.send(group[:half])
            said = () if verdict.valid else verdict.complaints
            if verdict.valid:
                answers |= dict.fromkeys(group[:half], Answer(accepted=True))
                group = group[half:]
            else:
                group = group[:half]
        return answers | {group[0]: Answer(accepted=False, complaints=said)}


def likely_group(questions: Sequence[Question]) -> list[Question]:
    """The questions whose common yes is about as likely as a no, the likeliest first."""
    ordered = _by_likelihood(questions)
    group: list[Question] = []
    for question in ordered[:MOST_QUESTIONS]:
        together = prod(one.likely for one in group)
        if group and abs(together * question.likely - 0.5) > abs(together - 0.5):
            break
        group.append(question)
    return group


def _by_likelihood(questions: Sequence[Question]) -> list[Question]:
    return sorted(questions, key=lambda question: -question.likely)


def _even_split(group: Sequence[Question]) -> int:
    """How many of a refused group to ask for, so that a yes is about as likely as a no."""
    everything = prod(question.likely for question in group)

    def unevenness(size: int) -> float:
        head = prod(question.likely for question in group[:size])
        return abs((head - everything) / max(1 - everything, 1e-9) - 0.5)

    return min(range(1, len(group)), key=unevenness)


def _blamed(verdict: Verdict, group: Sequence[Question]) -> dict[Question, list[Complaint]]:
    """The complaints by the question they are about; those about no question are left out."""
    blamed: dict[Question, list[Complaint]] = {}
    for complaint in verdict.complaints:
        number = widget(complaint, PREFIX)
        if number is None:
            index = place(complaint)
            number = _number_by_name(complaint, group) if index is None else index - 1
        if number is not None and 0 <= number < len(group):
            blamed.setdefault(group[number], []).append(complaint)
    return blamed


def _number_by_name(complaint: Complaint, group: Sequence[Question]) -> int | None:
    """The one question about a property that the complaint names."""
    said = names(complaint)
    found = [number for number, question in enumerate(group) if question.about in said]
    return found[0] if len(found) == 1 else None
