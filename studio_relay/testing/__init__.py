"""The other end of the wire: a simulated Twilio, caller scripts, and what tests of an agent need.

Names are loaded when first asked for; importing this package loads neither a server nor a network library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio_relay.testing.asgi import AsgiTransport
    from studio_relay.testing.attributes import AttributesRefused, RelayAttributes
    from studio_relay.testing.clock import Clock, is_virtual, run_virtual
    from studio_relay.testing.conversation import Conversation, VirtualTime
    from studio_relay.testing.expect import UnexpectedConversation
    from studio_relay.testing.identity import Identity
    from studio_relay.testing.line_delay import LineDelay
    from studio_relay.testing.rates import DrawnRates, MeasuredRates
    from studio_relay.testing.relay import Line, ScriptedCaller, ScriptedRelay
    from studio_relay.testing.run import Run, run_call, run_flow
    from studio_relay.testing.script import Script, load_script, parse_script
    from studio_relay.testing.streaming import Streaming
    from studio_relay.testing.suite import SuiteResult, collect, run_suite
    from studio_relay.testing.transcript import Turn
    from studio_relay.testing.transport import Closed, NetTransport, Response, Unreachable, UpgradeRefused
    from studio_relay.testing.twilio import LiveEvent, SimulatedCall, fetch_relay

__all__ = [
    "AsgiTransport",
    "AttributesRefused",
    "Clock",
    "Closed",
    "Conversation",
    "DrawnRates",
    "Identity",
    "Line",
    "LineDelay",
    "LiveEvent",
    "MeasuredRates",
    "NetTransport",
    "RelayAttributes",
    "Response",
    "Run",
    "Script",
    "ScriptedCaller",
    "ScriptedRelay",
    "SimulatedCall",
    "Streaming",
    "SuiteResult",
    "Turn",
    "UnexpectedConversation",
    "Unreachable",
    "UpgradeRefused",
    "VirtualTime",
    "collect",
    "fetch_relay",
    "is_virtual",
    "load_script",
    "parse_script",
    "run_call",
    "run_flow",
    "run_suite",
    "run_virtual",
]

_HOMES = {
    "asgi": ("AsgiTransport",),
    "attributes": ("AttributesRefused", "RelayAttributes"),
    "clock": ("Clock", "is_virtual", "run_virtual"),
    "conversation": ("Conversation", "VirtualTime"),
    "expect": ("UnexpectedConversation",),
    "identity": ("Identity",),
    "line_delay": ("LineDelay",),
    "rates": ("DrawnRates", "MeasuredRates"),
    "relay": ("Line", "ScriptedCaller", "ScriptedRelay"),
    "run": ("Run", "run_call", "run_flow"),
    "script": ("Script", "load_script", "parse_script"),
    "streaming": ("Streaming",),
    "suite": ("SuiteResult", "collect", "run_suite"),
    "transcript": ("Turn",),
    "transport": ("Closed", "NetTransport", "Response", "Unreachable", "UpgradeRefused"),
    "twilio": ("LiveEvent", "SimulatedCall", "fetch_relay"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
