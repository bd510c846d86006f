"""A Twilio account seen from the command line: its flows, their revisions, its numbers; needs no server.

`api` talks to it, `credentials` says as whom; the modules beside them plan and carry out what the commands promise.
Nothing is imported here: only the commands of the account load the twilio package.
"""
