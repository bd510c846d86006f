"""What any ConversationRelay server must do, as data, and a runner that asks one over the wire.

Nothing here knows our own server; it speaks to a URL and names, for each case, the rule and how sure it is.
"""

from __future__ import annotations

from studio_relay.testing.conformance.cases import CASES, Case
from studio_relay.testing.conformance.report import Report, Verdict
from studio_relay.testing.conformance.runner import Options, run_conformance

__all__ = ["CASES", "Case", "Options", "Report", "Verdict", "run_conformance"]
