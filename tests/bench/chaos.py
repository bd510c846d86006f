"""Random calls by the thousand against the front desk: which broke a rule, and how many words were right.

    python tests/bench/chaos.py [--calls 1000] [--first 0] [--mode full|widget] [--no-faults] [--streaming]

Full mode: the transcript is what the simulator played, and no goodbye is cut. Widget mode: the share of right words.
"""

from __future__ import annotations

import argparse
import time

from studio_relay_front_desk import FrontDesk

from studio_relay.testing.chaos import ChaosCall
from studio_relay.testing.streaming import Streaming
from studio_relay.testing.witness import play_chaos


def main() -> None:
    options = _options()
    began, broken, right, words = time.perf_counter(), 0, 0, 0
    for seed in range(options.first, options.first + options.calls):
        chaos = ChaosCall.from_seed(seed, mode=options.mode, faults=options.faults)
        testimony = play_chaos(Streaming(FrontDesk(), seed=seed) if options.streaming else FrontDesk(), chaos)
        if testimony.problems:
            broken += 1
            print(f"seed {seed} ({chaos.plan}; leftovers {chaos.leftovers}): {'; '.join(testimony.problems)}")
        if chaos.attributes.mode == "widget":
            right, words = right + testimony.words[0], words + testimony.words[1]
    share = f", {right} of {words} words right in widget mode ({right / words:.2%})" if words else ""
    print(f"{options.calls} calls, {broken} broke a rule{share}; {time.perf_counter() - began:.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--mode", choices=("full", "widget"))
    parser.add_argument("--no-faults", dest="faults", action="store_false")
    parser.add_argument("--streaming", action="store_true", help="the agent streams at 10 to 100 ms a token")
    return parser.parse_args()


if __name__ == "__main__":
    main()
