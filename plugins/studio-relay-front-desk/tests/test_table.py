"""The table of answers and the settings: what is found, and how faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_relay_front_desk import FrontDesk
from studio_relay_front_desk.table import PLACEHOLDERS, Answer, Table, load_settings, load_table

from studio_relay import SettingsError


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No .env of this machine is read."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("said", "topic"),
    [
        ("When do you OPEN?", "our opening hours"),
        ("where are you", "our address"),
        ("how much is it", "our prices"),
        ("I reopened the file", None),
        ("", None),
    ],
)
def test_find(said: str, topic: str | None) -> None:
    found = PLACEHOLDERS.find(said)
    assert (found.topic if found else None) == topic


def test_the_best_match_wins_and_the_first_of_equals() -> None:
    rows = (
        Answer(topic="one", words=("red",), says="1"),
        Answer(topic="two", words=("red", "blue"), says="2"),
        Answer(topic="three", words=("blue", "red"), says="3"),
    )
    found = Table(answers=rows).find("red and blue")
    assert found is not None
    assert found.topic == "two"


def test_topics_as_one_says_them() -> None:
    assert PLACEHOLDERS.topics == "our opening hours, our address or our prices"
    assert Table(answers=PLACEHOLDERS.answers[:1]).topics == "our opening hours"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("answers = 3", "answers: Input should be a valid tuple"),
        ("[[answers]", "not TOML"),
        ('[[answers]]\ntopic = "x"\nwords = []\nsays = "y"', "answers.0.words"),
        ('[[answers]]\ntopic = "x"\nwords = ["y"]\nsay = "y"', "answers.0.says: Field required"),
        ("", "answers: Field required"),
    ],
)
def test_a_wrong_table_is_told_by_file_and_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"STUDIO_RELAY_FRONT_DESK_TABLE: .*table\.toml") as caught:
        load_table(path)
    assert told in str(caught.value)


def test_a_missing_table_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STUDIO_RELAY_FRONT_DESK_TABLE", str(tmp_path / "nowhere.toml"))
    with pytest.raises(SettingsError, match="expected a readable TOML file"):
        FrontDesk().on_startup()


@pytest.mark.parametrize(
    ("name", "value"), [("SILENCE_SECONDS", "-1"), ("SILENCE_SECONDS", "soon"), ("COUNTRY_CODE", "+1")]
)
def test_a_wrong_setting_is_told_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STUDIO_RELAY_FRONT_DESK_{name}", value)
    with pytest.raises(SettingsError, match=f"STUDIO_RELAY_FRONT_DESK_{name}: "):
        load_settings()
