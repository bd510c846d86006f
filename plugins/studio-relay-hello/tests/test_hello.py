"""One call to `hello`, as the caller hears it: in process, on a virtual clock, without a phone."""

from __future__ import annotations

from studio_relay import create_app
from studio_relay.settings import load_settings
from studio_relay.testing import AsgiTransport, parse_script, run_call, run_virtual
from studio_relay.testing.relay import Line


def test_it_says_hello() -> None:
    app = create_app(load_settings(env_file=None, agent="hello", insecure=True))
    script = parse_script(
        """
        steps:
          - say: good morning
          - hear: "Hello! You said: good morning"
          - hang_up
        expect:
          status: completed
        """
    )
    run = run_virtual(run_call(Line(transport=AsgiTransport(app)), "ws://localhost/relay", script))
    assert run.ok, run.to_json()["expectations"]
