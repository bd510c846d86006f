"""The READMEs say what the code says: every hook, setting, command and message, and examples that run."""

from __future__ import annotations

import io
import re
import types
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import docs_parts
import pytest
from cogapp import Cog

from studio_relay import create_app
from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.settings import load_settings, settings_table
from studio_relay.testing import AsgiTransport, Run, Script, parse_script, run_call, run_virtual
from studio_relay.testing.relay import Line

REPO = Path(__file__).parents[1]
README = REPO / "README.md"
HOOK_REFERENCE = REPO / "plugins" / "README.md"
PAGES = sorted([README, *REPO.glob("*/README.md"), *REPO.glob("plugins/*/README.md")])
FENCE = re.compile(r"^```(?P<kind>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page; `kind` is what stands behind the fence: `python agent`."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPO)}:{self.line}"


def blocks(*pages: Path) -> Iterator[Block]:
    """The fenced blocks, in order."""
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page=page, line=line, kind=found["kind"].strip(), text=found["text"])


PYTHON = [block for block in blocks(*PAGES) if block.kind.split(" ")[0] == "python"]


def plugin_examples() -> list[tuple[Block, Block]]:
    """Each plugin of the pages with the caller script below it."""
    shown = list(blocks(*PAGES))
    return [
        (block, next_block)
        for block, next_block in pairwise(shown)
        if block.kind in ("python agent", "python extension")
    ]


# -------------------------------------------------------------------------------- what must be there


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading {heading!r}"
    return found[1]


@pytest.mark.parametrize("hook", docs_parts.hook_names())
def test_every_hook_is_documented_with_its_signature_and_an_example(hook: str) -> None:
    text = section(HOOK_REFERENCE, f"`{hook}`")
    assert f"def {docs_parts.signature(hook)}: ..." in text
    assert re.search(rf"^(async )?def {hook}\(.*\):|^(async )?def {hook}\(", text, re.MULTILINE)
    assert f"def {hook}(" in text.split("[[[end]]]")[1]


@pytest.mark.parametrize("name", [record.name for record in settings_table()])
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", docs_parts.command_names())
def test_every_command_is_documented(name: str) -> None:
    assert f"Usage: studio-relay {name} " in README.read_text(encoding="utf-8")


def test_every_message_is_documented() -> None:
    text = README.read_text(encoding="utf-8")
    for name in docs_parts.message_names():
        assert f"| `{name}` |" in text


def test_no_command_is_promised_that_is_not_there() -> None:
    there = set(docs_parts.command_names())
    for page in PAGES:
        text = page.read_text(encoding="utf-8").split("\n## Roadmap\n")[0]
        for first, second in re.findall(r"(?:`|^|uv run )studio-relay ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE):
            assert {first, f"{first} {second}"} & there, f"{page.relative_to(REPO)}: studio-relay {first} {second}"


def test_the_first_screen_holds_the_two_commands() -> None:
    screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:30])
    assert "uv run studio-relay demo" in screen
    assert "uv run pytest" in screen
    assert "uv run pytest" in (REPO / ".ci" / "run").read_text(encoding="utf-8").splitlines()


# ------------------------------------------------------------------------------------ generated parts


@pytest.mark.parametrize("page", [README, HOOK_REFERENCE], ids=["README", "plugins/README"])
def test_generated_parts_are_up_to_date(page: Path) -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        failed = Cog().main(["cog", "--check", "--diff", "-I", str(REPO / "tests" / "docs"), str(page)])
    assert not failed, f"run: uv run cog -r -I tests/docs README.md plugins/README.md\n{said.getvalue()}"


def test_links_within_the_repository_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(REPO)} links to {target}"


# ------------------------------------------------------------------------------------------- examples


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize(("example", "script"), plugin_examples(), ids=str)
def test_plugin_examples_answer_a_call(example: Block, script: Block) -> None:
    assert script.kind == "yaml script", f"{script}: expected the caller script of the plugin above it"
    run = run_virtual(talk_to(module_of(example), example.kind.split()[1], parse_script(script.text, str(script))))
    assert run.ok, (run.to_json()["expectations"], run.transcript)


def module_of(block: Block) -> types.ModuleType:
    """A module made of an example."""
    module = types.ModuleType("example")
    exec(compile(block.text, str(block), "exec"), module.__dict__)
    return module


async def talk_to(module: types.ModuleType, kind: Any, script: Script) -> Run:
    """A whole life of a server with this plugin: start, one call, stop. Extensions watch the built-in echo."""
    echo = load_plugins(outside=False).agents["echo"]
    app = create_app(
        load_settings(env_file=None, insecure=True, agent="example" if kind == "agent" else "echo"),
        assemble([echo, plugin(module, name="example", kind=kind)]),
    )
    async with AsgiTransport(app) as transport:
        run = await run_call(Line(transport=transport), "ws://localhost/relay", script)
    assert not transport.failures
    return run
