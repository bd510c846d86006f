"""The smallest relay widget that is accepted, and how the validator speaks: the known good and the known bad."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio_relay.errors import AccountError
from studio_relay.studio.account.probing.asker import Answer, Asker
from studio_relay.studio.account.probing.candidates import (
    CONTROL,
    FREE_TEXT,
    IMPOSSIBLE,
    Alternative,
    Candidate,
    candidates,
    is_among,
    json_type,
)
from studio_relay.studio.account.probing.inquiry import Inquiry
from studio_relay.studio.account.probing.questions import WIDGET_TYPE, Question
from studio_relay.studio.account.probing.words import Complaint, expected_type, form, listed, names, says_unknown

_MOST_REPAIRS = 24
_MOST_SEARCHES = 22
_SAMPLES = 6000
_FEW = 60
_UNLIKELY = 0.04
_REQUIRED = 0.05


def calibrate(inquiry: Inquiry) -> None:
    """Find an accepted widget, then see what is said about an unknown property and about a wrong value.

    Raises AccountError where nothing can be learnt: no flow is accepted at all, or every one.
    """
    inquiry.base = find_base(inquiry.asker)
    for name, value in inquiry.base.items():
        inquiry.finding(name).accepted.append(value)
    good = Question(properties=inquiry.base, likely=0.99)  # first, lest a validator look at no other widget
    unknown = inquiry.question(CONTROL, FREE_TEXT, likely=0.4)
    wrong = Question(properties=dict.fromkeys(inquiry.base, IMPOSSIBLE), likely=0.03)
    answers = inquiry.asker.step([good, unknown, wrong])
    if unknown not in answers:
        answers |= inquiry.asker.settle([unknown])
    if inquiry.asker.names != "none" or unknown not in answers or answers[unknown].accepted:
        answers |= inquiry.asker.settle([good, *(one for one in (unknown, wrong) if one not in answers)])
    if unknown not in answers:
        raise AccountError(f"{inquiry.asker.most} requests are too few to learn how the validator speaks; allow more.")
    _learn_manners(inquiry, answers[unknown], answers.get(wrong, Answer(accepted=False)))
    if wrong in answers and len(inquiry.base) == 1:
        name = next(iter(inquiry.base))
        inquiry.record({inquiry.question(name, IMPOSSIBLE): answers[wrong]})
    for name in inquiry.base:
        # Where unknown properties are ignored, one that was only accepted may still be unknown.
        inquiry.finding(name).exists = inquiry.finding(name).exists or (None if inquiry.ignores_unknown else True)


def _learn_manners(inquiry: Inquiry, unknown: Answer, wrong: Answer) -> None:
    """Are unknown properties refused, and in other words than wrong values? Raises AccountError if nothing is."""
    if wrong.accepted and unknown.accepted:
        raise AccountError(
            "the validator accepts a relay widget whose properties are lists of numbers: it does not look at the "
            "properties of this widget, or only at those of the first, so nothing can be learnt from it"
        )
    inquiry.ignores_unknown = unknown.accepted
    inquiry.unknown_complaints = unknown.complaints
    inquiry.unknown_forms = {form(one, CONTROL) for one in unknown.complaints}
    said = {form(one, name) for one in wrong.complaints for name in inquiry.base}
    inquiry.words_tell = bool(said and inquiry.unknown_forms) and not said & inquiry.unknown_forms


def find_base(asker: Asker) -> dict[str, Any]:
    """The properties of an accepted widget, as few as possible. Raises AccountError if none is found."""
    base: dict[str, Any] = {"url": _first_value("url")}
    answer = _ask(asker, base)
    if answer.accepted:
        return base
    plain = asker.send([])
    if not plain.valid:
        said = plain.complaints[0].message if plain.complaints else plain.reason or "no reason given"
        raise AccountError(f"expected a flow of a trigger alone to be accepted, found it refused: {said}. Try later.")
    _refuse_unknown_type(answer)
    found = _repaired(asker, base, answer) if answer.complaints else None
    if found is None:
        found = _searched(asker, base)
    if found is None:
        said = answer.complaints[0].message if answer.complaints else "the validator gives no reasons"
        raise AccountError(
            f"no relay widget was accepted in {asker.asked} requests ({said}), so there is nothing to compare with. "
            "Export a flow with this widget from Studio: its properties are what is accepted."
        )
    return found


def _refuse_unknown_type(answer: Answer) -> None:
    for complaint in answer.complaints:
        if re.search(r"[/.]type$", complaint.path):
            raise AccountError(
                f"the validator does not know the type {WIDGET_TYPE}, or the account may not use it. It says: "
                f"{complaint.message}. Does Studio's editor offer the widget in this account?"
            )


def _ask(asker: Asker, properties: Mapping[str, Any]) -> Answer:
    question = Question(properties=dict(properties))
    return asker.settle([question]).get(question, Answer(accepted=False))


def _first_value(name: str) -> Any:
    known = candidates().keys.get(name) or Candidate(name=name, likely=0.5)
    return known.alternatives()[0].value


# ------------------------------------------------------------------------------------- where refusals have words


def _repaired(asker: Asker, base: dict[str, Any], answer: Answer) -> dict[str, Any] | None:
    """The widget after doing what the refusals say, again and again."""
    tried: dict[str, list[Any]] = {name: [value] for name, value in base.items()}
    for _ in range(_MOST_REPAIRS):
        changed = dict(base)
        for complaint in answer.complaints:
            _repair(changed, complaint, tried)
        if changed == base:
            return None
        base = changed
        answer = _ask(asker, base)
        if answer.accepted:
            return base
    return None


def _repair(base: dict[str, Any], complaint: Complaint, tried: dict[str, list[Any]]) -> None:
    """Change the property that a complaint is about, or add those that it misses."""
    said = names(complaint)
    about = next((name for name in said if name in base), None)
    if about is not None:
        value = _better(complaint, tried.get(about, []))
        base.pop(about) if value is None else base.update({about: value})
        tried.setdefault(about, []).append(value)
        return
    missing = [name for name in said if name in candidates().keys] or list(said[:1])
    for name in missing:
        value = _untried(name, tried.get(name, []))
        base[name] = value
        tried.setdefault(name, []).append(value)


def _better(complaint: Complaint, tried: Sequence[Any]) -> Any:
    """The value that the complaint asks for, None if it asks for none."""
    options = [value for value in listed(complaint.message) if value not in tried]
    wanted = expected_type(complaint.message, json_type(tried[-1]).replace("pairs", "array")) if tried else None
    everything = () if says_unknown(complaint.message) else Candidate(name="", likely=1, say=("true",)).values()
    fitting = [value for value in everything if wanted is None or _fits(value, wanted)]
    return next((value for value in (*options, *fitting) if not is_among(value, tried)), None)


def _fits(value: Any, wanted: str) -> bool:
    return json_type(value).replace("pairs", "array") == wanted


def _untried(name: str, tried: Sequence[Any]) -> Any:
    known = candidates().keys.get(name) or Candidate(name=name, likely=0.5)
    values = [one.value for one in known.alternatives()]
    return next((value for value in values if not is_among(value, tried)), values[0])


# ---------------------------------------------------------------------------------- where a refusal says just no


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One way the validator's table might be: the property's type and value where it exists, and what is required."""

    strict: bool
    known: Mapping[str, Alternative]
    required: frozenset[str]

    def accepts(self, base: Mapping[str, Any]) -> bool:
        return self.required <= base.keys() and all(self._takes(name, value) for name, value in base.items())

    def _takes(self, name: str, value: Any) -> bool:
        known = self.known.get(name)
        return known.value == value if known else not self.strict


def _searched(asker: Asker, refused: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask for the widget that most of the tables still possible would accept, until one is."""
    chance = random.Random(20)
    history = [refused]
    tables: list[_Table] = []
    for _ in range(_MOST_SEARCHES):
        if len(tables) < _FEW:
            tables = [table for table in (_sample(chance) for _ in range(_SAMPLES)) if _agrees(table, history)]
        bases = {repr(base): base for table in tables[:150] for base in _bases(table, chance)}
        if not bases or not asker.left:
            return None
        base = max(bases.values(), key=lambda base: sum(table.accepts(base) for table in tables[:300]))
        if _ask(asker, base).accepted:
            return base
        history.append(base)
        tables = [table for table in tables if not table.accepts(base)]
    return None


def _agrees(table: _Table, refused: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the table too would have refused what was refused."""
    return not any(table.accepts(base) for base in refused)


def _sample(chance: random.Random) -> _Table:
    known: dict[str, Alternative] = {}
    for candidate in candidates().keys.values():
        if candidate.likely >= 0.5 and chance.random() < candidate.likely:
            options = [one for one in candidate.alternatives() if one.weight > _UNLIKELY]
            known[candidate.name] = chance.choices(options, [one.weight for one in options])[0]
    required = {name for name in known if chance.random() < (0.9 if name == "url" else _REQUIRED)}
    return _Table(strict=chance.random() < 0.6, known=known, required=frozenset(required))


def _bases(table: _Table, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Widgets that this table accepts: with what it requires, with some more, with everything."""
    more = chance.sample(sorted(table.known), len(table.known) // 2)
    for names_ in (table.required, table.required.union(more), frozenset(table.known)):
        yield {name: table.known[name].value for name in sorted(names_)}
