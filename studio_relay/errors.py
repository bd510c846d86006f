"""Every error a user of studio-relay can meet; this module holds no behaviour beyond their texts.

    RelayError
      ProtocolError
        LocalProtocolError        we broke the rules of ConversationRelay, or asked for it
          CallEnded               something was said after end()
          QueueFull               more was queued than OUTBOUND_QUEUE allows
          HandoffError            a handoff that the flow could not use
        RemoteProtocolError       the other end sent what is not ConversationRelay
      SignatureError              an upgrade or request that is not signed as it must be
      SettingsError               a setting that is missing, unknown or wrong
      TwimlError                  an attribute of our TwiML that Twilio would refuse
      PluginError                 a plugin that cannot be loaded, or that failed
      StoreError                  the session store cannot be read or written
      FlowError                   a flow definition, or a run of one, that cannot go on
      ScriptError                 a caller script that cannot be read or obeyed
      RecordingError              a recording that cannot be read or replayed
      AccountError                Twilio's API refused, could not be reached, or left open what happened

A message says what was expected, what was found, where, and what to do next. It never holds a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studio_relay.studio.account.problems import Problem


class RelayError(Exception):
    """The parent of all errors of this package."""


class ProtocolError(RelayError):
    """A rule of the ConversationRelay protocol was broken; see the two children for by whom."""


class LocalProtocolError(ProtocolError):
    """This side asked for something the protocol does not allow; nothing was sent."""


class CallEnded(LocalProtocolError):
    """The session has been ended, or its socket is gone; nothing more can be said in it."""


class QueueFull(LocalProtocolError):
    """More frames wait to be sent than `STUDIO_RELAY_OUTBOUND_QUEUE` allows; the last was not queued."""


class HandoffError(LocalProtocolError):
    """A handoff that breaks the contract of `studio_relay.handoff`; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other side sent what the protocol does not allow; the frame was refused, the socket stays open.

    `path` is the JSON path of the offending value (`$.digit`), or None when the text is not JSON at all.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class SignatureError(RelayError):
    """A request whose `X-Twilio-Signature` does not prove that it comes from the account."""


class SettingsError(RelayError):
    """A setting stops the start; the message is one line that names it and gives an example."""


class TwimlError(RelayError):
    """TwiML that Twilio would refuse; the message has a line for each attribute, its rule and an example."""


class PluginError(RelayError):
    """A plugin that cannot be loaded or used; the message names package, hook and fault.

    `plugin` and `hook` say whose fault it is, where that is not plain from where the error was raised.
    """

    def __init__(self, message: str = "", *, plugin: str = "", hook: str = "") -> None:
        super().__init__(message)
        self.plugin = plugin
        self.hook = hook


class StoreError(RelayError):
    """The session store is full, locked, unreadable or gone."""


class FlowError(RelayError):
    """A flow definition that cannot be used, or a walk through it that cannot go on."""


class ScriptError(RelayError):
    """A caller script that cannot be read or obeyed; `line` is 1-based, None when unknown."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class RecordingError(RelayError):
    """A recording that cannot be read or replayed; `line` is 1-based, None when unknown."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class AccountError(RelayError):
    """Twilio's API refused a request, was not reached, or answered with what is no answer.

    `status` is the HTTP status and `code` Twilio's own error code, None where there was none; `problems` is what
    FlowValidate said. `unknown` is true where a request that changes the account may have been carried out: its
    answer was lost, and nobody knows before having looked.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: int | None = None,
        problems: tuple[Problem, ...] = (),
        unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = problems
        self.unknown = unknown


def without_passwords(text: str) -> str:
    """`text` for a message, without the passwords that URLs in it may hold."""
    return re.sub(r"//[^/\s]*@", "//...@", text)
