"""From a guarded snapshot to numbers: features, batched models of the registry, the surface, the score, the words."""
