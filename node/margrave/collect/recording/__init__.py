"""Record what the venues' sockets said, byte for byte, and say it again.

`line` is the format, `recorder` writes it beside a running collector, `tape` reads it back and checks it, `feed` serves
it over HTTP and websockets to a node that cannot tell. An incident is kept, studied and tested in this one form.
"""
