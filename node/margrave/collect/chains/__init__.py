"""What chains say: the options protocol's own accounts first; other protocols and pools join as files here."""
