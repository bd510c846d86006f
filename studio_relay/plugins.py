"""Finding and checking plugins: agents by name, extensions in order, failures kept; calls no hook.

Two entry-point groups: one agent of `studio_relay.agents` answers a call, all of `studio_relay.extensions`
watch or wrap every call. An entry point is a module, an instance, or a class (instantiated once). A package
that cannot be loaded is reported, and the others still load.
"""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy
from pydantic import ValidationError

from studio_relay import hookspecs
from studio_relay.errors import HandoffError, PluginError
from studio_relay.handoff import Handoff, check_codes, reason_codes, said_of

log = logging.getLogger(__name__)

Kind = Literal["agent", "extension"]
GROUPS: Mapping[Kind, str] = {"agent": "studio_relay.agents", "extension": "studio_relay.extensions"}
BUILT_IN = "studio-relay"


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One function of one plugin; it is called with those of the hook's arguments that it names."""

    plugin: str
    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} of {self.plugin}"

    @cached_property
    def task_name(self) -> str:
        """What a task that runs it is called."""
        return f"studio-relay {self}"

    @cached_property
    def is_asynchronous(self) -> bool:
        """Whether calling it never blocks: a coroutine function or an async generator."""
        return inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A loaded plugin. `package` and `version` name the distribution it comes from, empty for objects."""

    name: str
    kind: Kind
    object: Any
    hooks: Mapping[str, Hook]
    package: str = ""
    version: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def built_in(self) -> bool:
        """Whether it comes with studio-relay itself."""
        return self.package == BUILT_IN

    @property
    def handoff_model(self) -> type[Handoff] | None:
        """The model of this agent's handoffs, if it declares one."""
        return getattr(self.object, "handoff_model", None)

    def say_again(self, language: str, default: str) -> str | None:
        """What asks a caller to repeat lost words: the agent's own `say_again`, by language; None: it asks itself."""
        own: str | Mapping[str, str] | None = getattr(self.object, "say_again", default)
        if own is None or isinstance(own, str):
            return own
        return own.get(language) or own.get(language.partition("-")[0]) or default

    def check_parameters(self, parameters: Mapping[str, str]) -> None:
        """Log which custom parameters do not fit the agent's `parameters_model`; names only, the call goes on."""
        model = getattr(self.object, "parameters_model", None)
        if model is None:
            return
        try:
            model.model_validate(dict(parameters))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {said_of(fault)}" for fault in error.errors())
            log.warning("the custom parameters do not fit agent %s: %s", self.name, faults)
        except Exception as error:  # a validator of the plugin's own
            log.error("plugin %s failed in parameters_model: %s", self.name, type(error).__name__)

    @property
    def relay(self) -> Mapping[str, Any]:
        """The TwiML attributes this agent asks for, under their Python names."""
        return getattr(self.object, "relay", None) or {}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An entry point that could not be used, and why."""

    name: str
    kind: Kind
    package: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Plugins:
    """All plugins of a process; `extensions` in pluggy's order, the first nearest the wire."""

    agents: Mapping[str, Plugin] = field(default_factory=dict)
    extensions: tuple[Plugin, ...] = ()
    failures: tuple[Failure, ...] = ()

    def agent(self, name: str) -> Plugin | None:
        """The agent called `name`."""
        return self.agents.get(name)

    def default_agent(self, wanted: str | None = None) -> Plugin:
        """The agent that answers when no call asks for another: `wanted`, else the only one installed, else echo.

        Raises PluginError when `wanted` is not installed or is broken, when several agents are installed and none is
        named, and when all that are installed are broken.
        """
        if wanted:
            found = self.agents.get(wanted)
            if found is None:
                raise PluginError(f"{self.absence(wanted)}. {self._remedy(wanted)}")
            return found
        installed = [agent for agent in self.agents.values() if not agent.built_in]
        if len(installed) > 1:
            raise PluginError(
                f"several agents are installed: {', '.join(sorted(a.name for a in installed))}. "
                "Say which one answers: STUDIO_RELAY_AGENT=NAME or --agent NAME."
            )
        broken = [failure for failure in self.failures if failure.kind == "agent"]
        if broken and not installed:
            raise PluginError(f"{self.absence(broken[0].name)}. {self._remedy(broken[0].name)}")
        return installed[0] if installed else self.agents["echo"]

    def absence(self, agent: str) -> str:
        """Why nobody called `agent` answers: it is not installed, or it is and cannot be used."""
        failure = self._failure(agent)
        if failure is None:
            return f"agent {_quoted(agent)} is not installed; installed: {', '.join(sorted(self.agents))}"
        return f"agent {_quoted(agent)} of {failure.package} is installed, but cannot be loaded: {failure.reason}"

    def is_broken(self, agent: str) -> bool:
        """Whether an agent of that name is installed and cannot be used."""
        return self._failure(agent) is not None

    def _remedy(self, agent: str) -> str:
        if self._failure(agent) is None:
            return "Set STUDIO_RELAY_AGENT to one of them, or pip install its package."
        return f"Fix it, or set STUDIO_RELAY_AGENT to one of: {', '.join(sorted(self.agents))}."

    def _failure(self, agent: str) -> Failure | None:
        return next((one for one in self.failures if one.kind == "agent" and one.name == agent), None)


def load_plugins(*, outside: bool = True, only: Iterable[str] | None = None) -> Plugins:
    """Load what is installed. `outside=False` leaves all but the built-in plugins; `only` names those to keep.

    Raises PluginError when two packages offer an agent or extension of one name.
    """
    found: list[Plugin] = []
    failures: list[Failure] = []
    wanted = None if only is None else set(only)
    for kind, group in GROUPS.items():
        for entry in _entries(group, kind):
            if not _is_wanted(entry, outside, wanted):
                continue
            try:
                found.append(_load(entry, kind))
            except KeyboardInterrupt:
                raise  # whoever starts the server wants it to stop
            except BaseException as error:
                failures.append(_failure(entry, kind, error))
    return assemble(found, failures)


def plugin(thing: Any, *, name: str, kind: Kind, package: str = "", version: str = "") -> Plugin:
    """Make a Plugin of a module, an instance or a class.

    Raises PluginError naming the hook when a hook or an argument is misspelt or a handoff model is unusable.
    """
    thing = _instance(thing, name)
    manager = _manager()
    try:
        manager.register(thing, name=name)
        _check_names(manager, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"plugin {name}: {_one_line(str(error))}") from error
    hooks = _hooks(manager, name)
    _check_kind(name, kind, hooks)
    _check_model(thing, name)
    _check_say_again(thing, name)
    _check_relay(thing, name)
    return Plugin(
        name=name,
        kind=kind,
        object=thing,
        hooks=hooks,
        package=package,
        version=version,
        warnings=(*_unmarked(thing, hooks), *_speechless(kind, hooks)),
    )


def assemble(found: Iterable[Plugin], failures: Iterable[Failure] = ()) -> Plugins:
    """Put plugins together, extensions in pluggy's order (tryfirst, registration, trylast).

    Raises PluginError when two plugins of one kind have the same name.
    """
    by_name: dict[tuple[Kind, str], Plugin] = {}
    for one in found:
        other = by_name.setdefault((one.kind, one.name), one)
        if other is not one:
            raise PluginError(
                f"two packages offer the {one.kind} {one.name!r}: {other.package or 'an object'} and "
                f"{one.package or 'an object'}. Uninstall one of them."
            )
    agents = {p.name: p for p in by_name.values() if p.kind == "agent"}
    extensions = [p for p in by_name.values() if p.kind == "extension"]
    _check_distinct(extensions)
    return Plugins(agents=agents, extensions=_in_order(extensions), failures=tuple(failures))


def _check_distinct(extensions: Iterable[Plugin]) -> None:
    names: dict[int, str] = {}
    for one in extensions:
        other = names.setdefault(id(one.object), one.name)
        if other != one.name:
            raise PluginError(f"the extensions {other!r} and {one.name!r} are one object; offer it under one name")


def _entries(group: str, kind: Kind) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def _is_wanted(entry: EntryPoint, outside: bool, only: set[str] | None) -> bool:
    if entry.dist is not None and entry.dist.name == BUILT_IN:
        return True
    return entry.name in only if only is not None else outside


def _load(entry: EntryPoint, kind: Kind) -> Plugin:
    package = entry.dist.name if entry.dist else ""
    version = entry.dist.version if entry.dist else ""
    return plugin(entry.load(), name=entry.name, kind=kind, package=package, version=version)


def _failure(entry: EntryPoint, kind: Kind, error: BaseException) -> Failure:
    reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    package = entry.dist.name if entry.dist else entry.value
    return Failure(name=entry.name, kind=kind, package=package, reason=_one_line(reason))


def _quoted(name: str) -> str:
    """A name that may come from outside, as it may stand in a message."""
    return ascii(name[:40])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _instance(thing: Any, name: str) -> Any:
    if not inspect.isclass(thing):
        return thing
    try:
        return thing()
    except Exception as error:
        raise PluginError(
            f"plugin {name}: the class {thing.__name__} must be made without arguments, and raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _hooks(manager: pluggy.PluginManager, name: str) -> dict[str, Hook]:
    hooks = {}
    for caller in manager.get_hookcallers(manager.get_plugin(name)) or ():
        for found in caller.get_hookimpls():
            if found.wrapper or found.hookwrapper:
                raise PluginError(f"plugin {name}: {caller.name} is marked as a wrapper; use wrap_reply instead")
            hooks[caller.name] = Hook(
                plugin=name, name=caller.name, function=found.function, arguments=tuple(found.argnames)
            )
    return hooks


def _check_names(manager: pluggy.PluginManager, name: str) -> None:
    """As pluggy's check_pending(), with the name that was probably meant."""
    callers = vars(manager.hook).values()
    unknown = [caller for caller in callers if not caller.has_spec()]
    strange = next((c.name for c in unknown if not all(i.optionalhook for i in c.get_hookimpls())), None)
    if strange is not None:
        known = [caller.name for caller in callers if caller.has_spec()]
        nearest = difflib.get_close_matches(strange, known, n=1, cutoff=0.6)
        hint = f"did you mean {nearest[0]}?" if nearest else f"the hooks are {', '.join(known)}"
        raise PluginError(f"plugin {name}: no hook is called {strange!r}; {hint}")


def _check_kind(name: str, kind: Kind, hooks: Mapping[str, Hook]) -> None:
    if kind == "agent" and "wrap_reply" in hooks:
        raise PluginError(
            f"plugin {name}: wrap_reply is for extensions, and {name} is an agent; "
            f"offer it under the entry-point group {GROUPS['extension']}"
        )


def _check_relay(thing: Any, name: str) -> None:
    relay = getattr(thing, "relay", None)
    if relay is not None and not isinstance(relay, Mapping):
        raise PluginError(
            f"plugin {name}: relay must be a mapping of TwiML attributes, such as {{'voice': 'en-US-Journey-O'}}, "
            f"found {type(relay).__name__}; give what is not one another name"
        )


def _check_say_again(thing: Any, name: str) -> None:
    own = getattr(thing, "say_again", None)
    texts = own.values() if isinstance(own, Mapping) else [own]
    if own is not None and not all(isinstance(text, str) for text in texts):
        raise PluginError(
            f"plugin {name}: say_again must be a text, a mapping of texts by language such as {{'en': 'Pardon?'}}, or "
            f"None, found {type(own).__name__}; give what is not one another name"
        )


def _check_model(thing: Any, name: str) -> None:
    model = getattr(thing, "handoff_model", None)
    if model is None:
        return
    if not (inspect.isclass(model) and issubclass(model, Handoff)):
        raise PluginError(f"plugin {name}: handoff_model must be a subclass of studio_relay.Handoff, found {model!r}")
    try:
        check_codes(reason_codes(model), f"{name}.handoff_model")
    except HandoffError as error:
        raise PluginError(str(error)) from error


def _unmarked(thing: Any, hooks: Mapping[str, Hook]) -> Iterable[str]:
    """Functions that look like hooks and are not: without the marker pluggy passes them over in silence."""
    for name, spec in vars(hookspecs).items():
        if hasattr(spec, "studio_relay_spec") and name not in hooks and callable(getattr(thing, name, None)):
            yield f"{name} is defined without @hookimpl and is never called"


def _speechless(kind: Kind, hooks: Mapping[str, Hook]) -> Iterable[str]:
    if kind == "agent" and not {"on_setup", "on_prompt", "on_dtmf"} & set(hooks):
        yield "it has none of the hooks on_setup, on_prompt and on_dtmf, so callers will hear nothing from it"


def _in_order(extensions: list[Plugin]) -> tuple[Plugin, ...]:
    """pluggy calls the last registered first, tryfirst before that and trylast after."""
    manager = _manager()
    for extension in extensions:
        manager.register(extension.object, name=extension.name)
    rank: dict[str, int] = {}
    callers = sorted(vars(manager.hook).values(), key=lambda caller: caller.name != "wrap_reply")
    for caller in callers:
        for position, found in enumerate(reversed(caller.get_hookimpls())):
            rank.setdefault(found.plugin_name, position)
    return tuple(sorted(extensions, key=lambda extension: rank.get(extension.name, len(rank))))
