"""The main job on one machine: a local chain, four nodes, a venue server, and what a person sees of it."""
