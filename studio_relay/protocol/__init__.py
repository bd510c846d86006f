"""ConversationRelay without I/O: text in, events out, text out. Knows no clock, socket, loop or plugin.

Start with `Session` in `session.py`; `states.py` holds the legal moves, `messages.py` the wire.
"""
