"""Sign this node's own words, serve them to peers, pull and verify theirs, gather a quorum."""
