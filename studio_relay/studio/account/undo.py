"""How a change that was made is taken back: as commands that can be run, or in words where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio_relay.studio.account.api import Account
from studio_relay.studio.account.change import PUBLISHED, Standing
from studio_relay.studio.account.numbers import Change, NumberRecord
from studio_relay.studio.account.outcome import Outcome
from studio_relay.studio.account.sameness import same


@dataclass(frozen=True, kw_only=True)
class Undo:
    """`commands` restore what was there before, run one after the other; `remarks` say what they cannot."""

    commands: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, list[str]]:
        """Both, for programs."""
        return {"commands": list(self.commands), "remarks": list(self.remarks)}


def undo(account: Account, outcome: Outcome) -> Undo:
    """How to take back what was done; nothing for an outcome that changed nothing."""
    if not outcome.done:
        return Undo()
    standing = outcome.change.standing
    if standing is None:
        remark = (
            f"{outcome.sid} is new and no number leads to it: delete it in Twilio's console (Studio, Flows), "
            "or leave it there"
        )
        return Undo(remarks=(remark,))
    return Undo(commands=_commands(account, outcome, standing), remarks=tuple(_remarks(outcome, standing)))


def undo_pointing(account: Account, number: NumberRecord, changed: Sequence[Change]) -> Undo:
    """How to let a number lead where it led before; `number` is as it was."""
    leads_back = number.voice_url.startswith("https://")
    words, left = ["number", "point", number.sid, number.voice_url], []
    for change in changed:
        option = _OPTIONS.get(change.field)
        if leads_back and option and (not change.before or change.before.startswith("https://")):
            words += [option, change.before]
        elif change.before and not (leads_back and change.field == "voice_url"):
            left.append(f"{change.field} {change.before}")
    if not leads_back and not left:
        return Undo(remarks=("there is nothing to go back to: before, it led nowhere",))
    by_hand = f"set in Twilio's console (Phone Numbers, the number): {', '.join(left)}"
    return Undo(commands=(account.command(*words),) if leads_back else (), remarks=(by_hand,) if left else ())


_OPTIONS = {"voice_fallback_url": "--fallback-url", "status_callback": "--status-callback"}


def _commands(account: Account, outcome: Outcome, standing: Standing) -> tuple[str, ...]:
    """Export what was there before, and import it over what is there now, if nobody saved since."""
    sid, published = outcome.sid, "publish" in outcome.done and standing.live is not None
    before = standing.live if published and standing.live else standing.newest
    file = f"{sid}.{before.revision}.json"
    back = ["flow", "import", file, sid, "--since", str(outcome.revision)]
    back += ["--publish"] if published else []
    if outcome.change.wanted.name != standing.newest.friendly_name:
        back += ["--name", standing.newest.friendly_name]
    if "test users" in outcome.done:
        back += ["--test-users", ",".join(standing.test_users)]
    out = ["flow", "export", sid, "--revision", str(before.revision), "--output", file]
    return account.command(*out), account.command(*back)


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
