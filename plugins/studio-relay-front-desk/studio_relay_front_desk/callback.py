"""Taking the number of a caller who wants to be called back; what follows is the agent's business."""

from __future__ import annotations

from enum import Enum

from studio_relay import Call
from studio_relay_front_desk.digits import normalised, read_aloud, spoken_digits
from studio_relay_front_desk.hearing import Heard, listen

TRIES = 2

_ASK = "Which number shall we call? Say it, or type it and press the hash key."
_AGAIN = "Please give me the number once more, digit by digit, with the area code."


class NoNumber(Enum):
    """Why there is no number."""

    PERSON = "the caller asked for a person instead"
    CANCELLED = "the caller thought better of it"
    NOT_UNDERSTOOD = "no number was understood in two tries"


async def take_number(call: Call, country_code: str) -> str | NoNumber:
    """Ask for a number, by speech or key, and have it confirmed. Returns it as `+15550100007`."""
    correction: Heard | None = None
    for attempt in range(TRIES):
        heard = correction or await listen(call, _AGAIN if attempt else _ASK)
        if (other := _way_out(heard)) is not None:
            return other
        correction, number = None, _number(heard, country_code)
        if number is None:
            continue
        verdict = await listen(call, f"I have {read_aloud(number)}. Is that right?")
        if verdict.yes or (heard.keys and verdict == Heard()):
            return number  # what was typed is exact: silence will do
        if (other := _way_out(verdict)) is not None:
            return other
        correction = verdict if _number(verdict, country_code) else None  # "no, it is 5 5 5 ..."
    return NoNumber.NOT_UNDERSTOOD


def _way_out(heard: Heard) -> NoNumber | None:
    if heard.wants_person:
        return NoNumber.PERSON
    return NoNumber.CANCELLED if heard.cancels else None


def _number(heard: Heard, country_code: str) -> str | None:
    return normalised(heard.keys or spoken_digits(heard.words), country_code)
