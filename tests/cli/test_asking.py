"""Asking before something is done: what is said where no yes comes."""

from __future__ import annotations

import click
import pytest

from studio_relay.cli.asking import ask
from studio_relay.cli.errors import NotDone


def test_an_interrupt_at_the_question_says_that_nothing_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(question: str, *, err: bool) -> bool:
        raise click.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", interrupted)
    with pytest.raises(click.Abort):
        ask("do this?", yes=False, declined="nothing was written")
    assert capsys.readouterr().err == "\nstudio-relay: nothing was written\n"


def test_what_was_not_shown_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with pytest.raises(NotDone, match="nothing was changed; --dry-run reports"):
        ask("do this?", yes=False, shown=False)
    ask("do this?", yes=True, shown=False)
