"""Random calls to agents that stream, by the thousand: is what they believe what the caller heard?

    python tests/bench/streamed_calls.py [--calls 2000] [--first 0] [--mode full|widget]

A third of the calls for each reading of what becomes of words on the wire at a cut. Prints the seeds that fail.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "testing"))

from streamed_calls import Mode, play, wrong_words


def main() -> None:
    options = _options()
    modes: list[Mode] = [options.mode] if options.mode else ["full", "widget"]
    for mode in modes:
        began, failed = time.process_time(), 0
        calls = []
        for seed in range(options.first, options.first + options.calls):
            calls.append(call := play(seed, mode))
            problems = [*call.problems, *call.silences]
            if mode == "widget" and call.words[0] > 0.25 * call.words[1]:
                problems.append(f"{call.words[0]} of {call.words[1]} words are wrong")
            for problem in problems:
                print(f"{mode}, seed {seed}, leftovers {call.reading}: {problem}")
            failed += bool(problems)
        wrong, heard = wrong_words(calls)
        worst = max(calls, key=lambda call: call.words[0] / max(call.words[1], 1))
        print(
            f"{mode}: {len(calls)} calls from seed {options.first}, {failed} failed; "
            f"{wrong} of {heard} words wrong ({wrong / heard:.2%}), at worst {worst.words[0]} of {worst.words[1]} "
            f"(seed {worst.seed}); longest wait {max((w for c in calls for w in c.caller.waits), default=0)} ms; "
            f"{time.process_time() - began:.0f} s of CPU"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--mode", choices=("full", "widget"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
