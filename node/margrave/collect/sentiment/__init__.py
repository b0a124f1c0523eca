"""What people feel, as far as it can be had without a key: an index, the price of leverage, the day's headlines.

None of it is a price and no venue: it never takes part in an agreement, and where it is absent a figure is masked, not
guessed. `fear_greed` and `headlines` read answers, `tone` judges a headline by the words of `lexicon`, `positioning` is
computed from funding, and `watcher` asks, each half hour.
"""
