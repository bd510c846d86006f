"""What flow commands know of agents: an installed one by name, or a handoff model in any module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio_relay.errors import PluginError

if TYPE_CHECKING:
    from studio_relay.handoff import Handoff
    from studio_relay.plugins import Plugin
    from studio_relay.studio.subject import AgentFacts


def installed_agent(name: str) -> Plugin:
    """The agent called `name`. Raises PluginError: not installed, or why it could not be loaded."""
    from studio_relay.plugins import load_plugins

    plugins = load_plugins(only=[name])
    found = plugins.agent(name)
    if found is not None:
        return found
    if plugins.is_broken(name):
        raise PluginError(plugins.absence(name))
    raise PluginError(f"there is no agent {name!r}; `studio-relay plugins list` shows what is installed")


def agent_facts(name: str) -> AgentFacts:
    """What flows may rely on when the agent called `name` answers."""
    from studio_relay.handoff import Handoff
    from studio_relay.studio.handoff import facts_of

    plugin = installed_agent(name)
    model = getattr(plugin.object, "parameters_model", None)
    parameters = None if model is None else frozenset(f.alias or key for key, f in model.model_fields.items())
    if plugin.handoff_model is None:
        return facts_of_open(name, parameters)
    assert issubclass(plugin.handoff_model, Handoff)
    return facts_of(plugin.handoff_model, name=name, parameters=parameters)


def facts_of_open(name: str, parameters: frozenset[str] | None = None) -> AgentFacts:
    """An agent that declares no handoff model: nothing is known of its codes and members."""
    from studio_relay.studio.subject import AgentFacts

    return AgentFacts(name=name, parameters=parameters)


def handoff_model(name: str) -> type[Handoff]:
    """The model that `name` stands for: an agent's, or the class of `package.module:Class`. Raises PluginError."""
    if ":" in name:
        return _imported(name)
    model = installed_agent(name).handoff_model
    if model is None:
        raise PluginError(f"the agent {name!r} declares no handoff_model, so nothing is known of its handoffs")
    return model


def _imported(name: str) -> type[Handoff]:
    import inspect
    import sys
    from importlib import import_module

    from studio_relay.handoff import Handoff

    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")  # as `python -m` has it: a model under work lies in the current folder
    try:
        found = getattr(import_module(module), attribute, None)
    except Exception as error:
        raise PluginError(f"{module!r} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove("")
    if not (inspect.isclass(found) and issubclass(found, Handoff)):
        raise PluginError(f"{name}: expected a subclass of studio_relay.Handoff, found {type(found).__name__}")
    return found
