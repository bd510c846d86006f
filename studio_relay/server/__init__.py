"""The Quart server: who may connect, frames in and out, limits; what is said is decided elsewhere."""
