"""The figures of one process for Prometheus; serves nothing, and no label holds what came from a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio_relay.story import Observer, Story

if TYPE_CHECKING:
    from studio_relay.call import Reason

_WAIT_BUCKETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0)
_CALL_BUCKETS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0)
_NAMESPACE = "studio_relay"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Observer):
    """Counts in a registry of its own, so that several apps in one process do not mix."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # 60 ms, and only where wanted

        registry = self._registry = CollectorRegistry()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, namespace=_NAMESPACE, registry=registry)

        def seconds(name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, meaning, ("agent",), namespace=_NAMESPACE, registry=registry, buckets=buckets)

        self._live = Gauge("calls_live", "Sessions that are live now.", ("agent",), _NAMESPACE, registry=registry)
        self._calls = counter("calls", "Sessions that ended, by reason.", "agent", "reason")
        self._seconds = seconds("call_seconds", "From setup to close.", _CALL_BUCKETS)
        self._first_word = seconds(
            "first_word_seconds", "From a final prompt to the first text that was sent.", _WAIT_BUCKETS
        )
        self._silence = seconds("dead_air_seconds", "Longest wait for words in a session.", _WAIT_BUCKETS)
        self._barge_ins = counter("barge_ins", "Times a caller spoke over the agent.", "agent")
        self._frames = counter("frames_refused", "Frames from Twilio that were not taken.", "agent")
        self._hooks = counter("hook_failures", "Hooks that raised or were too slow.", "plugin", "hook")
        self._errors = counter("twilio_errors", "Error messages from Twilio, by code.", "code")
        self._reconnects = counter("reconnects", "Sessions that went on with an earlier call.", "agent")
        self._refusals = counter("refusals", "Requests that were refused.", "status", "reason")
        self._abandoned = counter("sends_abandoned", "Sends that the host never finished; the socket was given up.")

    def session_began(self, story: Story) -> None:
        self._live.labels(story.agent).inc()
        if story.session_number > 1:
            self._reconnects.labels(story.agent).inc()

    def session_ended(self, story: Story, reason: Reason) -> None:
        if story.session_number:
            self._live.labels(story.agent).dec()
        self._calls.labels(story.agent, reason).inc()
        self._seconds.labels(story.agent).observe(story.seconds)
        self._silence.labels(story.agent).observe(story.longest_silence)
        self._frames.labels(story.agent).inc(story.refused_frames)

    def first_word(self, agent: str, seconds: float) -> None:
        self._first_word.labels(agent).observe(seconds)

    def barged_in(self, agent: str) -> None:
        self._barge_ins.labels(agent).inc()

    def hook_failed(self, plugin: str, hook: str) -> None:
        self._hooks.labels(plugin, hook).inc()

    def twilio_reported(self, code: str) -> None:
        self._errors.labels(code).inc()

    def send_abandoned(self) -> None:
        self._abandoned.inc()

    def refused(self, status: int, kind: str) -> None:
        self._refusals.labels(str(status), kind).inc()

    def exposition(self) -> bytes:
        """Everything in Prometheus' text form."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
