"""Property tests look at behaviour, not at the speed of the machine that runs them."""

from hypothesis import settings

settings.register_profile("protocol", deadline=None, database=None, derandomize=True)
settings.load_profile("protocol")
