"""studio-relay: the server, SDK and toolbox behind Twilio Studio's ConversationRelay widget.

Everything a plugin needs is imported from here. Names are resolved when they are first used, so that
`import studio_relay.protocol` loads neither the server nor a plugin framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio_relay.call import Call, SessionEnd
    from studio_relay.errors import (
        AccountError,
        CallEnded,
        FlowError,
        HandoffError,
        LocalProtocolError,
        PluginError,
        ProtocolError,
        QueueFull,
        RecordingError,
        RelayError,
        RemoteProtocolError,
        ScriptError,
        SettingsError,
        SignatureError,
        StoreError,
        TwimlError,
    )
    from studio_relay.handoff import Handoff
    from studio_relay.hookspecs import Reply, Spoken, hookimpl
    from studio_relay.protocol.messages import (
        Dtmf,
        ErrorMessage,
        Info,
        Interrupt,
        Message,
        Prompt,
        Setup,
        Unknown,
    )
    from studio_relay.protocol.transcript import Turn
    from studio_relay.server.app import create_app
    from studio_relay.settings import Settings

_HOMES = {
    "studio_relay.call": ("Call", "SessionEnd"),
    "studio_relay.errors": (
        "AccountError", "CallEnded", "FlowError", "HandoffError", "LocalProtocolError", "PluginError", "ProtocolError",
        "QueueFull", "RecordingError", "RelayError", "RemoteProtocolError", "ScriptError", "SettingsError",
        "SignatureError", "StoreError", "TwimlError",
    ),
    "studio_relay.handoff": ("Handoff",),
    "studio_relay.hookspecs": ("Reply", "Spoken", "hookimpl"),
    "studio_relay.protocol.messages": (
        "Dtmf", "ErrorMessage", "Info", "Interrupt", "Message", "Prompt", "Setup", "Unknown",
    ),
    "studio_relay.protocol.transcript": ("Turn",),
    "studio_relay.server.app": ("create_app",),
    "studio_relay.settings": ("Settings",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "AccountError",
    "Call",
    "CallEnded",
    "Dtmf",
    "ErrorMessage",
    "FlowError",
    "Handoff",
    "HandoffError",
    "Info",
    "Interrupt",
    "LocalProtocolError",
    "Message",
    "PluginError",
    "Prompt",
    "ProtocolError",
    "QueueFull",
    "RecordingError",
    "RelayError",
    "RemoteProtocolError",
    "Reply",
    "ScriptError",
    "SessionEnd",
    "Settings",
    "SettingsError",
    "Setup",
    "SignatureError",
    "Spoken",
    "StoreError",
    "Turn",
    "TwimlError",
    "Unknown",
    "create_app",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
