"""Studio flows as code: read, run, check and change them; knows nothing of the server."""
