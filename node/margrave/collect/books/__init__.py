"""Local order books: `ladder` holds one, `keeper` follows a venue's sequence into it, `measures` says what it is worth.

All of it is pure and single-threaded; `margrave.collect.socket` brings the messages.
"""
