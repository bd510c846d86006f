"""`python -m studio_relay` is the command `studio-relay`."""

from __future__ import annotations

from studio_relay.cli import main

if __name__ == "__main__":
    main()
