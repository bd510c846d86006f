"""A front desk that answers the phone; the agent is in `agent.py`, what it knows in `table.py`."""

from __future__ import annotations

from studio_relay_front_desk.agent import FrontDesk, FrontDeskHandoff, FrontDeskParameters

__all__ = ["FrontDesk", "FrontDeskHandoff", "FrontDeskParameters"]
