"""Bring a quorum to the chain: whose turn, what fee, send, replace, confirm."""
