"""The words of docs/models.md that no card can say."""

from __future__ import annotations

from typing import Final

HEAD: Final = """# Models

This page is written by `python -m train.document` from the cards in `models/registry` and the court's report; edit
those, not this.

A model is a folder `models/registry/<family>/<version>`: the graph (`model.onnx`), its card (`card.toml`), golden
inputs and outputs (`reference.npz`) and the whole evaluation (`evaluation.json`). The node opens a model only if both
files have the hashes of the card and the golden outputs come out on this machine; governance approves a *set* of models
by one hash over their names and graphs. `models/train/README.md` says how each is made,
`models/registry/card.schema.json` what a card may hold: a card that breaks it is refused with the field's name.
"""

WHO_SPEAKS: Final = """## Who speaks

The main model's ladder is published, but no rung below a third of the baseline's. Where the input is unlike the
training data, or the main model gives no finite answer, the larger of both ladders is published, rung by rung, and the
round is marked as a fall-back. Where the index has moved since the last closed hour by more than a typical hour, both
models are also asked with that move as a provisional bar, and the larger answer counts. Nothing here can make a ladder
narrower.
"""

JUDGED: Final = """## How they were judged

Two ways. The court (`margrave backtest`) walks forward over whatever history it is given and refits its families as it
goes; a registry model stands among them as its file is, and answers only hours after everything that it was trained on
or chosen by. [Its report](backtest/index.html) of the development data stands beside this page. The cards carry what
`python -m train.judged` finds without refits: all models side by side on the hours after all of their training, on the
assets they were trained on and on those left out. The two oldest cards, gjr_garch_t/1 and tail_net/1, have figures of
their own: trained to the end of 2023, chosen on 2024-01-08 to 2024-06-09, reported on 2024-06-17 to 2024-12-31 and
2026-01 to 2026-02, with a purged week between the parts. APT, FIL, GRT and LINK were left out of training and choice.
Rows are every fourth hour, so outcomes do not overlap. FZ0 contains a logarithm: only its differences mean something,
and below zero is better than the model it is compared with. |t| above 2 is unlikely to be luck. Kupiec's test pools
assets that crash together, so a small p there overstates the evidence; the share of single assets that pass it stands
beside it.

Averages hide the days that matter. So each card also says what came of the top 2 % of the model's own volatility
forecasts, and what it says of three crises of the training span (in-sample): its largest ES99 for the next four hours
against the worst four hours that came, on rows four hours apart. ES99 is a mean of what is rare, so it should stand
above the worst of a month; several times above is a ladder that nobody can trade under.
"""

BAD_INPUT: Final = """## Bad input

| what comes | what is done |
| --- | --- |
| a price that is not a number, zero or less; a high or low that does not contain open and close | the guard refuses \
the bar; a history that holds one is refused by name and the market is held |
| a gap, a repeat, hours out of order | the court sorts, keeps the last of a repeat and begins a new stretch after a \
gap; recursions start anew after it, and ranges wait until four weeks are whole |
| more than half of a day's bars that did not move | refused as frozen: it would look like calm |
| a constant series that passes | variance stays at its floor of 1e-10 an hour; no model divides by zero |
| an exploding series, an absurd hour | HAR stays within a tenth and ten times what is usual, EGARCH's logarithm \
within 12 of its level, no rung beyond a log return of 3; the input is then unlike the training, and the \
larger ladder speaks |
| another unit of price or volume | nothing changes: inputs are ratios; a unit that changes on the way ends a stretch |
| an asset that nobody was trained on | answered: every model is one for all markets, its level the market's own |
| a short history | fewer than 200 bars: the market is held; up to 673 the recursions speak and ranges do not |
| implied volatility, funding, volume or the leaders' bars gone | masked, never zero, and the round says so; what it \
costs stands under "When a source is gone" |
| a training command without history | one line that says what is missing, and an exit code |
| a graph or card that was changed, a card that breaks the schema | the node does not start, and says which file |
"""
