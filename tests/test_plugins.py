"""Finding and checking plugins: names, kinds, order, and what cannot be loaded."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from studio_relay import Handoff, hookimpl
from studio_relay.errors import PluginError
from studio_relay.plugins import Plugins, assemble, load_plugins, plugin

FINE = """
from studio_relay import hookimpl

@hookimpl
async def on_prompt(call, prompt):
    yield "Fine."
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a distribution with one plugin: a module on the path, and the metadata that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)

    def make(package: str, name: str, code: str, *, group: str = "agents", thing: str = "") -> None:
        module = f"{package.replace('-', '_')}_module"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{package.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3\n")
        target = f"{module}:{thing}" if thing else module
        (info / "entry_points.txt").write_text(f"[studio_relay.{group}]\n{name} = {target}\n")

    yield make
    for name in set(sys.modules) - modules:
        if name.endswith("_module"):
            del sys.modules[name]


def load(*names: str) -> Plugins:
    return load_plugins(only=names)


@pytest.mark.outside_plugins
@pytest.mark.parametrize("thing", ["", "Agent", "agent"])
def test_an_entry_point_is_a_module_a_class_or_an_instance(install: Any, thing: str) -> None:
    body = FINE.replace("@hookimpl", "class Agent:\n  @hookimpl").replace("(call", "(self, call")
    body = body.replace("async def", "  async def").replace("    yield", "      yield") + "\nagent = Agent()\n"
    install("my-agent", "mine", body if thing else FINE, thing=thing)
    found = load("mine")
    assert found.failures == ()
    agent = found.agents["mine"]
    assert (agent.package, agent.version, agent.built_in) == ("my-agent", "1.2.3", False)
    assert agent.hooks["on_prompt"].arguments == ("call", "prompt")


@pytest.mark.outside_plugins
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        (FINE.replace("on_prompt", "on_promt"), "no hook is called 'on_promt'; did you mean on_prompt?"),
        (FINE.replace("prompt):", "promt):"), "promt"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_reported_and_the_others_load(install: Any, code: str, reason: str) -> None:
    install("broken-agent", "broken", code)
    install("my-agent", "mine", FINE)
    install("my-extension", "watch", "", group="extensions")
    found = load("broken", "mine", "watch")
    [failure] = found.failures
    assert (failure.name, failure.kind, failure.package) == ("broken", "agent", "broken-agent")
    assert reason in failure.reason
    assert "\n" not in failure.reason
    assert "mine" in found.agents
    assert [extension.name for extension in found.extensions] == ["watch"]


@pytest.mark.outside_plugins
def test_an_agent_that_is_installed_but_broken_is_asked_for(install: Any) -> None:
    install("broken-agent", "broken", "import nothing_of_that_name")
    found = load("broken")
    reason = "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    expected = f"agent 'broken' of broken-agent is installed, but cannot be loaded: {reason}"
    assert found.absence("broken") == expected
    for wanted in ("broken", None):
        with pytest.raises(PluginError) as caught:
            found.default_agent(wanted)
        assert str(caught.value).startswith(f"{expected}. Fix it, or set STUDIO_RELAY_AGENT to one of: echo")
    install("my-agent", "mine", FINE)
    assert load("broken", "mine").default_agent().name == "mine"


@pytest.mark.outside_plugins
@pytest.mark.parametrize("group", ["agents", "extensions"])
def test_two_packages_with_one_name_stop_the_start(install: Any, group: str) -> None:
    install("first-package", "mine", FINE, group=group)
    install("second-package", "mine", FINE, group=group)
    with pytest.raises(PluginError, match=r"two packages offer the .* 'mine'") as caught:
        load("mine")
    assert "first-package" in str(caught.value)
    assert "second-package" in str(caught.value)


@pytest.mark.outside_plugins
def test_a_package_may_not_take_a_built_in_name(install: Any) -> None:
    install("my-agent", "echo", FINE)
    with pytest.raises(PluginError, match=r"'echo': .*my-agent"):
        load("echo")


@pytest.mark.outside_plugins
def test_an_agent_and_an_extension_may_share_a_name(install: Any) -> None:
    install("my-agent", "mine", FINE)
    install("my-extension", "mine", FINE, group="extensions")
    found = load("mine")
    assert "mine" in found.agents
    assert [extension.name for extension in found.extensions] == ["mine"]


@pytest.mark.outside_plugins
def test_outside_plugins_can_be_left_out(install: Any) -> None:
    install("my-agent", "mine", FINE)
    assert "mine" not in load_plugins(outside=False).agents
    assert "mine" not in load("other").agents
    assert "mine" in load_plugins().agents


def test_the_built_in_agents_are_registered_like_anybodys(built_in: Plugins) -> None:
    assert {"echo"} <= set(built_in.agents)
    assert all(agent.built_in for agent in built_in.agents.values())
    assert built_in.failures == ()


def test_tests_see_no_outside_plugins() -> None:
    assert all(agent.built_in for agent in load_plugins().agents.values())


class Fine:
    @hookimpl
    async def on_prompt(self) -> str:
        return "Fine."


def test_the_only_installed_agent_answers(built_in: Plugins) -> None:
    mine = plugin(Fine(), name="mine", kind="agent", package="my-agent")
    assert assemble([*built_in.agents.values(), mine]).default_agent().name == "mine"
    assert assemble(built_in.agents.values()).default_agent().name == "echo"
    assert assemble([*built_in.agents.values(), mine]).default_agent("echo").name == "echo"


# --- what a plugin may be ---------------------------------------------------------------------------------


def marked(name: str, *arguments: str, body: str = "pass", **options: Any) -> Any:
    """A module with one hook that takes `arguments`."""
    module = ModuleType("made")
    exec(f"def {name}({', '.join(arguments)}): {body}", vars(module))
    setattr(module, name, hookimpl(**options)(getattr(module, name)))
    return module


def test_hooks_may_take_fewer_arguments() -> None:
    made = plugin(marked("on_prompt", "prompt"), name="mine", kind="agent")
    assert made.hooks["on_prompt"].arguments == ("prompt",)
    assert plugin(marked("on_prompt"), name="mine", kind="agent").hooks["on_prompt"].arguments == ()


@pytest.mark.parametrize(
    ("thing", "named"),
    [
        (marked("on_prompts", "call"), r"no hook is called 'on_prompts'; did you mean on_prompt\?"),
        (marked("answer_the_phone", "call"), "no hook is called 'answer_the_phone'; the hooks are .*on_prompt"),
        (marked("on_prompt", "call", "text"), r"\{'text'\}"),
        (marked("on_prompt", wrapper=True), "Declared as wrapper=True .* not a generator function"),
        (marked("on_prompt", wrapper=True, body="yield"), "on_prompt is marked as a wrapper; use wrap_reply instead"),
        (marked("on_prompt", hookwrapper=True, body="yield"), "is marked as a wrapper; use wrap_reply instead"),
    ],
)
def test_a_misspelt_hook_or_argument_is_named(thing: Any, named: str) -> None:
    with pytest.raises(PluginError, match=named) as caught:
        plugin(thing, name="mine", kind="agent")
    assert "plugin mine" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_is_made_once_without_arguments() -> None:
    made = []

    class Counted(Fine):
        def __init__(self) -> None:
            made.append(self)

    assert plugin(Counted, name="mine", kind="agent").object is made[0]
    assert len(made) == 1


def test_a_class_that_needs_arguments_is_refused() -> None:
    class Needing(Fine):
        def __init__(self, key: str) -> None:
            self.key = key

    with pytest.raises(PluginError, match="the class Needing must be made without arguments, and raised TypeError"):
        plugin(Needing, name="mine", kind="agent")


def test_wrap_reply_is_for_extensions() -> None:
    with pytest.raises(PluginError, match="wrap_reply is for extensions"):
        plugin(marked("wrap_reply", "reply"), name="mine", kind="agent")
    assert "wrap_reply" in plugin(marked("wrap_reply", "reply"), name="mine", kind="extension").hooks


def test_a_hook_without_its_marker_is_warned_of() -> None:
    class Forgetful(Fine):
        def on_dtmf(self) -> None: ...

    assert plugin(Forgetful(), name="mine", kind="agent").warnings == (
        "on_dtmf is defined without @hookimpl and is never called",
    )


def test_an_agent_without_a_voice_is_warned_of() -> None:
    [warning] = plugin(marked("on_end", "end"), name="mine", kind="agent").warnings
    assert "callers will hear nothing from it" in warning
    assert plugin(marked("on_end", "end"), name="mine", kind="extension").warnings == ()


def test_what_an_agent_declares() -> None:
    class Mine(Handoff):
        reason_code: Literal["done"]

    class Declaring(Fine):
        handoff_model = Mine
        relay = {"welcome_greeting": "Hello."}  # noqa: RUF012

    made = plugin(Declaring, name="mine", kind="agent")
    assert made.handoff_model is Mine
    assert made.relay == {"welcome_greeting": "Hello."}
    assert plugin(Fine, name="mine", kind="agent").handoff_model is None
    assert plugin(Fine, name="mine", kind="agent").relay == {}


@pytest.mark.parametrize("model", [dict, "Handoff", object()])
def test_a_handoff_model_must_be_one(model: Any) -> None:
    class Declaring(Fine):
        handoff_model = model

    with pytest.raises(PluginError, match=r"handoff_model must be a subclass of studio_relay\.Handoff"):
        plugin(Declaring, name="mine", kind="agent")


@pytest.mark.parametrize("own", [7, ["Pardon?"], {"en": None}])
def test_words_that_ask_again_must_be_words(own: Any) -> None:
    class Declaring(Fine):
        say_again = own

    with pytest.raises(PluginError, match="say_again must be a text"):
        plugin(Declaring, name="mine", kind="agent")


def wrapping(name: str, **options: bool) -> Any:
    class Wrapping:
        @hookimpl(**options)
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            async for piece in reply:
                yield piece

    return plugin(Wrapping(), name=name, kind="extension")


def test_extensions_stand_in_pluggys_order() -> None:
    found = [
        wrapping("a"),
        wrapping("last", trylast=True),
        wrapping("b"),
        wrapping("first", tryfirst=True),
        plugin(marked("on_end"), name="watches", kind="extension"),
    ]
    names = [extension.name for extension in assemble(found).extensions]
    assert [name for name in names if name != "watches"] == ["first", "b", "a", "last"]


def test_one_object_under_two_names_is_refused_by_name() -> None:
    thing = marked("on_end")
    with pytest.raises(PluginError, match=r"one.*two|two.*one"):
        assemble([plugin(thing, name=name, kind="extension") for name in ("one", "two")])


def test_relay_that_is_no_mapping_is_refused() -> None:
    class Agent:
        relay = "en-US-Journey-O"

    with pytest.raises(PluginError, match=r"relay must be a mapping of TwiML attributes.*found str"):
        plugin(Agent, name="talker", kind="agent")
