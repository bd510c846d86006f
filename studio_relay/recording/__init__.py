"""Recordings of calls: one file of JSON lines for each call, written masked, read by replay.

The form is described in `reading`; `masking` says what is replaced, `writing` and `filing` how
lines reach the disk.
"""

from studio_relay.recording.reading import (
    CloseLine,
    FrameLine,
    HandshakeLine,
    HttpLine,
    Line,
    NoteLine,
    Recording,
    read_recording,
)
from studio_relay.recording.writing import Recorder, SessionRecording

__all__ = [
    "CloseLine",
    "FrameLine",
    "HandshakeLine",
    "HttpLine",
    "Line",
    "NoteLine",
    "Recorder",
    "Recording",
    "SessionRecording",
    "read_recording",
]
