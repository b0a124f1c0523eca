"""Whether explanations are worth their words: what is taken away first when they are believed, and how they stand."""
