"""How a change that was made is taken back: as commands that can be run, or in words where there is none."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from studio_relay.studio.account.change import PUBLISHED, Standing
from studio_relay.studio.account.outcome import Outcome
from studio_relay.studio.account.sameness import same


@dataclass(frozen=True, kw_only=True)
class Undo:
    """`commands` restore what was there before, run one after the other; `remarks` say what they cannot."""

    commands: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def undo(outcome: Outcome, *, options: tuple[str, ...] = ()) -> Undo:
    """How to take back what was done; nothing for an outcome that changed nothing.

    `options` are what else the commands need to reach the same account, such as `--environment prod`.
    """
    if not outcome.done:
        return Undo()
    standing = outcome.change.standing
    if standing is None:
        remark = (
            f"{outcome.sid} is new and no number leads to it: delete it in Twilio's console (Studio, Flows), "
            "or leave it there"
        )
        return Undo(remarks=(remark,))
    return Undo(commands=_commands(outcome, standing, options), remarks=tuple(_remarks(outcome, standing)))


def _commands(outcome: Outcome, standing: Standing, options: tuple[str, ...]) -> tuple[str, ...]:
    """Export what was there before, and import it over what is there now, if nobody saved since."""
    sid, published = outcome.sid, "publish" in outcome.done and standing.live is not None
    before = standing.live if published and standing.live else standing.newest
    file = f"{sid}.{before.revision}.json"
    back = ["import", file, sid, "--since", str(outcome.revision)]
    back += ["--publish"] if published else []
    if outcome.change.wanted.name != standing.newest.friendly_name:
        back += ["--name", standing.newest.friendly_name]
    if "test users" in outcome.done:
        back += ["--test-users", ",".join(standing.test_users)]
    out = ["export", sid, "--revision", str(before.revision), "--output", file]
    return tuple(shlex.join(["studio-relay", "flow", *words, *options]) for words in (out, back))


def _remarks(outcome: Outcome, standing: Standing) -> Iterator[str]:
    if "publish" in outcome.done and standing.live is None:
        yield f"{outcome.sid} was never published before, and Twilio cannot take that back: point its numbers elsewhere"
    elif "save" in outcome.done and "publish" not in outcome.done and standing.live is not None:
        yield f"callers go on hearing revision {standing.live.revision} whatever you do with the draft"
    if "test users" in outcome.done and not standing.test_users:
        yield f"{outcome.sid} had no test users before; if Twilio does not take an empty list, remove them in Studio"
    live, newest = standing.live, standing.newest
    is_other_draft = newest.status != PUBLISHED and live is not None and not same(newest.definition, live.definition)
    if "publish" in outcome.done and is_other_draft and not outcome.change.wanted.is_in(newest):
        yield f"the draft that was there before is revision {newest.revision}"
