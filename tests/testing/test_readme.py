"""The examples of the testing kit's README run, and what it shows of a failure is what a failure shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import studio_relay
from studio_relay import hookimpl

README = (Path(studio_relay.__file__).parent / "testing" / "README.md").read_text(encoding="utf-8")


def examples() -> dict[str, Any]:
    """The tests that the README shows, by name."""
    names: dict[str, Any] = {"hookimpl": hookimpl}
    for block in re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    return {name: value for name, value in names.items() if name.startswith("test_")}


EXAMPLES = examples()


def test_there_are_examples() -> None:
    assert {"test_it_answers", "test_a_script", "test_it_remembers_after_a_drop"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, caller: Any) -> None:
    EXAMPLES[name](caller)


def test_the_explanation_is_the_one_that_is_shown(caller: Any) -> None:
    run = caller.run("echo", "steps: [{say: good morning}, {hear: good evening}]")
    [shown] = re.findall(r"^```text\n(script:.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert _without_times(run.explain() + "\n") == _without_times(shown)


def _without_times(text: str) -> str:
    return re.sub(r"\d:\d\d\.\d", "0:00.0", text)
