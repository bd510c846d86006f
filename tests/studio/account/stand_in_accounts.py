"""What the stand-in for Twilio's API remembers of accounts: flows with their revisions, and numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Revision:
    number: int
    status: str
    friendly_name: str
    definition: dict[str, Any]
    commit_message: str | None = None


@dataclass
class Flow:
    sid: str
    revisions: list[Revision]
    test_users: list[str] = field(default_factory=list)

    @property
    def newest(self) -> Revision:
        return self.revisions[-1]

    @property
    def live(self) -> Revision | None:
        """The newest that is published."""
        return next((r for r in reversed(self.revisions) if r.status == "published"), None)


@dataclass
class State:
    """One account."""

    sid: str = "AC" + "0" * 31 + "1"
    secrets: dict[str, str] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add_flow(self, name: str, *definitions: Mapping[str, Any], status: str = "published") -> str:
        """A flow with these definitions as its revisions; returns its SID."""
        sid = f"FW{self.sid[-1]}{len(self.flows) + 1:031x}"
        self.flows[sid] = Flow(sid, [])
        for definition in definitions:
            self.save(sid, definition, status=status, name=name)
        return sid

    def save(
        self, sid: str, definition: Mapping[str, Any], *, status: str = "published", name: str = "", message: str = ""
    ) -> Revision:
        """A new revision, as somebody else saves one too."""
        flow = self.flows[sid]
        name = name or flow.newest.friendly_name
        copy = json.loads(json.dumps(definition))
        flow.revisions.append(Revision(len(flow.revisions) + 1, status, name, copy, message or None))
        return flow.newest

    def add_number(self, phone_number: str, **fields: Any) -> str:
        """A phone number; returns its SID."""
        sid = f"PN{len(self.numbers) + 1:032x}"
        empty = dict.fromkeys(
            ("voice_url", "voice_fallback_url", "status_callback", "voice_application_sid", "trunk_sid", "sms_url"), ""
        )
        methods = dict.fromkeys(("voice_method", "voice_fallback_method", "status_callback_method"), "POST")
        known = {"sid": sid, "account_sid": self.sid, "phone_number": phone_number, "friendly_name": phone_number}
        more = {"api_version": "2010-04-01", "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False}}
        self.numbers[sid] = {**known, **empty, **methods, **more, **fields}
        return sid


def definition(*names: str, text: str = "Hello") -> dict[str, Any]:
    """A flow that says `text` in each widget called so, and then hangs up; the linter finds no error in it."""
    steps = [*names, None]
    say = {"voice": "default", "say": text, "loop": 1}
    return {
        "description": "A flow",
        "states": [
            {
                "name": "Trigger",
                "type": "trigger",
                "transitions": [_transition("incomingCall", steps[0])],
                "properties": {"offset": {"x": 0, "y": 0}},
            },
            *(
                {
                    "name": name,
                    "type": "say-play",
                    "transitions": [_transition("audioComplete", steps[index + 1])],
                    "properties": {"offset": {"x": 0, "y": 200 * (index + 1)}, **say},
                }
                for index, name in enumerate(names)
            ),
        ],
        "initial_state": "Trigger",
        "flags": {"allow_concurrent_calls": True},
    }


def _transition(event: str, target: str | None) -> dict[str, str]:
    return {"event": event} | ({"next": target} if target else {})
