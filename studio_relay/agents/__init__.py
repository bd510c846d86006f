"""The agents that come with studio-relay, registered like anybody's."""
