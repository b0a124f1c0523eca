"""What makes the models of the registry. Needs the `train` extra and torch; the node never imports any of it."""
