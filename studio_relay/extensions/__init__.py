"""The extensions that come with studio-relay, registered like anybody's."""
