"""Finding out what a validator of flows knows about one widget, by asking; pure, it is handed the asking.

    words       what a refusal tells, whatever words it is in
    questions   one widget a question, many questions a definition
    asker       asks questions in as few requests as the answers allow
    candidates  which properties, types and values are worth asking for
    calibration the smallest widget that is accepted, and how the validator speaks
    keys        which properties there are, and of which JSON type
    details     required properties, events, values
    facts       what was learnt, as the anonymous file
    solver      the whole investigation

Talking to an account is `studio_relay.studio.account.probe`'s.
"""
