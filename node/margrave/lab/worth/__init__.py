"""What an input is worth: does a group of them make forecasts better, out of sample, than those that are there already?

`python -m margrave.lab.worth --data DIR` measures every group for which DIR has series and writes docs/features.json,
of which docs/features.md is made.
"""
