"""The hooks a plugin may implement, and the two markers; nothing else is here.

An *agent* answers a call: exactly one is chosen for each. *Extensions* watch or wrap every call. Both mark
their functions with `@hookimpl` and may leave out any argument they do not need. A hook may be a plain
function (it then runs in a thread of its own), a coroutine function, or, where a Reply is returned, an async
generator of text.

A **Reply** is text, an async iterator of text, or None for deliberate silence; plain functions and coroutines
may return either. Pieces of an iterator that are empty or None are skipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeAlias

import pluggy

if TYPE_CHECKING:
    from studio_relay.call import Call, SessionEnd
    from studio_relay.protocol.messages import Dtmf, ErrorMessage, Info, Interrupt, Prompt, Setup, Unknown

PROJECT = "studio_relay"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Spoken: TypeAlias = "str | AsyncIterator[str | None] | None"
Reply: TypeAlias = "Spoken | Awaitable[Spoken]"


@hookspec
def on_startup(settings: Any) -> None:
    """Called once per process, before the first call is taken.

    :param settings: the server's settings without its secrets.
    :returns: nothing.

    If it raises or takes longer than `STUDIO_RELAY_HOOK_TIMEOUT_SECONDS`, the server does not start.

    .. versionadded:: 0.1
    """


@hookspec
def on_shutdown() -> None:
    """Called once per process, after the last call has ended.

    :returns: nothing.

    If it raises or is too slow, that is logged and the shutdown goes on.

    .. versionadded:: 0.1
    """


@hookspec
def on_setup(call: Call, setup: Setup) -> Reply:
    """Called once for each session, as soon as Twilio has announced the call.

    :param call: the handle on the call.
    :param setup: Twilio's `setup`, with the custom parameters.
    :returns: a Reply, the agent's first words. Leave it to silence when the flow's welcome greeting speaks.

    No `on_prompt` or `on_dtmf` starts before it has returned or timed out; of the prompts that came meanwhile the
    last counts. If it raises or is too slow, the caller hears the configured sentence. What an extension returns
    is not spoken.

    .. versionadded:: 0.1
    """


@hookspec
def on_prompt(call: Call, prompt: Prompt) -> Reply:
    """Called for each thing the caller has finished saying.

    :param call: the handle on the call.
    :param prompt: what was said (`voice_prompt`), in which language (`lang`, often only `en`), and whether it came
        while the agent spoke and nothing interrupted it (`over_speech`).
    :returns: a Reply. Yield text as soon as you have it: Twilio speaks from the first word. Pieces that are empty
        or None are skipped.

    It replaces the reply that still runs. Words that come over speech and interrupt nothing stop nothing: they go
    to a hook that waits in `ask`, else they are answered when all has been played, and only the last of them.

    If it raises, is too slow, yields what is not text, or ends without a word, the caller hears the configured
    sentence; the second time in a row the session ends with `relay-agent-failed`. Blanks, punctuation and emoji are
    no words. What an extension returns is not spoken.

    .. versionadded:: 0.1
    """


@hookspec
def on_dtmf(call: Call, dtmf: Dtmf) -> Reply:
    """Called for each key the caller presses while nobody collects digits.

    :param call: the handle on the call.
    :param dtmf: the key (`digit`), and whether it came while the agent spoke (`over_speech`).
    :returns: a Reply; with its first word it replaces the reply that runs. None, or a reply without a word, lets
        that one go on.

    A key that comes over speech and interrupts nothing is answered when all has been played, as words are.

    If it raises or is too slow, the caller hears the configured sentence. What an extension returns is not spoken.

    .. versionadded:: 0.1
    """


@hookspec
def on_interrupt(call: Call, interrupt: Interrupt) -> None:
    """Called when the caller has barged in, after the reply was stopped and the transcript was cut.

    :param call: the handle on the call; `call.transcript` already holds only what was heard.
    :param interrupt: Twilio's report, which describes the current clause alone.
    :returns: nothing.

    Where no words follow within two seconds after everybody has fallen silent, the server asks the caller to say
    them again. To ask in your own words, give the agent a `say_again` text, or a mapping of texts by language; to
    handle it yourself, speak in this hook or set `say_again = None`.

    If it raises or is too slow, that is logged with the plugin's name.

    .. versionadded:: 0.1
    """


@hookspec
def on_end(call: Call, end: SessionEnd) -> None:
    """Called once for each session that had a setup, when its socket is gone.

    :param call: the handle on the call; nothing can be said any more.
    :param end: why it ended (`reason`), the close code, and the handoff that was sent.
    :returns: nothing.

    If it raises or takes longer than `STUDIO_RELAY_ON_END_TIMEOUT_SECONDS`, that is logged with the plugin's name.

    .. versionadded:: 0.1
    """


@hookspec
def on_partial_prompt(call: Call, prompt: Prompt) -> None:
    """Called while the caller is still speaking, where Twilio reports it (`partialPrompts`).

    :param call: the handle on the call.
    :param prompt: the whole utterance so far, which may still be revised; never answer it.
    :returns: nothing.

    If it raises or is too slow, that is logged with the plugin's name.

    .. versionadded:: 0.1
    """


@hookspec
def on_info(call: Call, message: Info) -> None:
    """Called for each event about playback or speakers that TwiML has subscribed to.

    :param call: the handle on the call.
    :param message: its `name` and `value`, as Twilio sent them.
    :returns: nothing.

    If it raises or is too slow, that is logged with the plugin's name.

    .. versionadded:: 0.1
    """


@hookspec
def on_error(call: Call, message: ErrorMessage) -> None:
    """Called when Twilio reports an error, such as a frame of ours that it refused.

    :param call: the handle on the call.
    :param message: the `description`, and the `code` where it holds one.
    :returns: nothing. The call goes on.

    If it raises or is too slow, that is logged with the plugin's name.

    .. versionadded:: 0.1
    """


@hookspec
def on_unknown(call: Call, message: Unknown) -> None:
    """Called for a message of a type this version does not know.

    :param call: the handle on the call.
    :param message: its `type`, and all of it in `raw`.
    :returns: nothing.

    If it raises or is too slow, that is logged with the plugin's name.

    .. versionadded:: 0.1
    """


@hookspec
def wrap_reply(call: Call, reply: AsyncIterator[str]) -> AsyncIterator[str]:
    """Called for all speech of the agent, to change it on its way: extensions only.

    :param call: the handle on the call.
    :param reply: the pieces of text, as they come.
    :returns: an async iterator of the pieces to speak instead; those that are empty or None are skipped. The first
        extension in pluggy's order is nearest the wire.

    If it raises or is too slow, nothing unwrapped is spoken: the caller hears the configured sentence.

    .. versionadded:: 0.1
    """
    return reply
