"""The lint rules: a registry, and one module for each kind of rule; how they are run and ranked is `lint`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from studio_relay.studio.diagnostics import Severity
from studio_relay.studio.flow import Widget
from studio_relay.studio.subject import Subject

__all__ = ["Found", "Rule", "all_rules", "at", "rule"]

_MODULES = ("structure", "properties", "wiring", "templates", "variables", "relay", "payloads")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A place where a rule is broken; `severity` None means the rule's own."""

    path: str
    message: str
    widget: str | None = None
    hint: str = ""
    severity: Severity | None = None


Check = Callable[[Subject], Iterator[Found]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. `impact` says how much of it a caller would notice, 0 nothing to 9 all; `why` is its documentation.

    A `remark` is about a limit of Studio's rather than a fault of the flow: it is told once, and never counts.
    """

    code: str
    title: str
    severity: Severity
    impact: int
    why: str
    check: Check
    remark: bool = False


_rules: list[Rule] = []


def rule(code: str, title: str, *, severity: Severity, impact: int, remark: bool = False) -> Callable[[Check], Check]:
    """Register a check; its docstring becomes the rule's documentation."""

    def register(check: Check) -> Check:
        why = " ".join((check.__doc__ or "").split())
        known = Rule(code=code, title=title, severity=severity, impact=impact, why=why, check=check, remark=remark)
        _rules.append(known)
        return check

    return register


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, in order of its code."""
    for module in _MODULES:
        import_module(f"{__name__}.{module}")
    return tuple(sorted(_rules, key=lambda known: known.code))


def at(widget: Widget, place: str, message: str, *, hint: str = "", severity: Severity | None = None) -> Found:
    """A finding within `widget`; `place` is the path below the state, "" for the state itself."""
    path = f"{widget.path}/{place}" if place else widget.path
    return Found(path=path, message=message, widget=widget.name, hint=hint, severity=severity)
