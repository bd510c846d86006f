"""The figures: counted once for each reply or event, apart for each app, and gone from `live` at the end."""

from __future__ import annotations

from studio_relay.metrics import Metrics
from studio_relay.story import Story


def figures(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels."""
    lines = [line for line in metrics.exposition().decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_call_from_its_beginning_to_its_end() -> None:
    metrics = Metrics()
    story = Story(metrics)
    story.began(100.0)
    story.answered_by("desk", 2)
    assert figures(metrics)['studio_relay_calls_live{agent="desk"}'] == 1
    story.prompted(101.0)
    story.speaks(101.3)
    story.speaks(101.9)  # a second talk cycle of the same answer is no first word
    story.barged_in()
    story.frame_refused()
    story.hook_failed("notes", "on_prompt")
    story.twilio_reported(64107)
    story.closed(160.0)
    story.ended("hangup")
    found = figures(metrics)
    assert found['studio_relay_calls_live{agent="desk"}'] == 0
    assert found['studio_relay_calls_total{agent="desk",reason="hangup"}'] == 1
    assert found['studio_relay_reconnects_total{agent="desk"}'] == 1
    assert found['studio_relay_first_word_seconds_count{agent="desk"}'] == 1
    assert found['studio_relay_first_word_seconds_bucket{agent="desk",le="0.2"}'] == 0
    assert found['studio_relay_first_word_seconds_bucket{agent="desk",le="0.35"}'] == 1
    assert found['studio_relay_dead_air_seconds_count{agent="desk"}'] == 1
    assert found['studio_relay_call_seconds_sum{agent="desk"}'] == 60
    assert found['studio_relay_barge_ins_total{agent="desk"}'] == 1
    assert found['studio_relay_frames_refused_total{agent="desk"}'] == 1
    assert found['studio_relay_hook_failures_total{hook="on_prompt",plugin="notes"}'] == 1
    assert found['studio_relay_twilio_errors_total{code="64107"}'] == 1


def test_a_session_that_was_turned_away_was_never_live() -> None:
    metrics = Metrics()
    story = Story(metrics)
    story.began(1.0)
    story.closed(2.0)
    story.ended("refused")
    found = figures(metrics)
    assert found['studio_relay_calls_total{agent="",reason="refused"}'] == 1
    assert not any(name.startswith("studio_relay_calls_live{") for name in found)


def test_two_apps_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.refused(403, "signature")
    assert figures(one)['studio_relay_refusals_total{reason="signature",status="403"}'] == 1
    assert not any("refusals_total{" in name for name in figures(other))
