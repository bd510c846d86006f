"""The flow and the caller of `studio-relay demo`; data only, so that a wheel can run it alone."""
