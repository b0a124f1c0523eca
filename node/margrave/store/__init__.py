"""The journal: what was seen, decided, signed and sent. Start-up is recovery, and every round can be replayed."""
