"""Words of headlines about crypto markets and how good or bad their news is, from -3 to 3.

Written by hand for this market: general lists call "bull" an animal and "short" a length. An entry that ends in *
stands for every word that begins with it. Two rules kept the list honest: no names (an asset or a
person is not good or bad), and no word that markets use both ways without others ("volatile", "whale", "record").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_THEFT_AND_FAILURE: Final = {
    -3.0: "hack* exploit* drain* stolen steal* theft* heist* rugpull* rug-pull* fraud* ponzi* bankrupt* insolven* "
    "collapse* implode* implosion* contagion depeg* de-peg*",
    -2.5: "scam* breach* attack* crisis",
    -2.0: "phish* malware ransom* compromise* vulnerab* default* halt* freeze* freezing frozen outage* delist*",
    -1.5: "layoff* trouble* shutdown* shutter*",
    -1.0: "pause* pausing",
}
_FALLING: Final = {
    -3.0: "crash* plummet*",
    -2.5: "plung* selloff* sell-off* capitulat* panic* wiped wipes wipeout*",
    -2.0: "tumbl* slump* sink* sank bearish bear bears downtrend* liquidat* fear fears fearful recession underwater",
    -1.5: "slid slide slides sliding drop drops dropped dropping falls fall falling fell lose loses losing loss losses "
    "lost outflow* bleed* worr* warn* pain painful weak* fud",
    -1.0: "dip dips dipped concern* pressure* lows",
    -0.5: "low down risk risks risky",
}
_THE_LAW: Final = {
    -2.0: "indict* arrest* convict* guilty jail* prison ban bans banned crackdown*",
    -1.5: "sue sues sued suing lawsuit* fined penalt* sanction* subpoena* reject* violat*",
    -1.0: "charged probe probes probed investigat* delay*",
    1.0: "dismiss* clarity",
    1.5: "acquit*",
    2.0: "approv* greenlight* legaliz* legalis*",
}
_RISING: Final = {
    3.0: "skyrocket*",
    2.5: "surg* soar*",
    2.0: "rally rallies rallied rallying jump* rebound* bullish bull bulls breakout* boom* uptrend* ath",
    1.5: "gain gains gained climb* rise rises rising rose recover* inflow* outperform* optimis* boost* win wins "
    "winning won",
    1.0: "highs accumulat* confiden* strong* strength* profit* beat beats",
    0.5: "high support*",
}
_BUILDING: Final = {
    1.5: "adopt* milestone* success* restor* recoup*",
    1.0: "launch* partner* integrat* upgrad* buys buying bought growth grow grows growing innovat* resum* refund*",
    0.5: "raises raised invest invests invested acquires acquired settles settled",
}

WEIGHTS: Final[Mapping[str, float]] = {
    entry: weight
    for part in (_THEFT_AND_FAILURE, _FALLING, _THE_LAW, _RISING, _BUILDING)
    for weight, entries in part.items()
    for entry in entries.split()
}

_NEGATIONS: Final = (
    "no not never without isn't won't doesn't didn't deny denies denied refutes avoid avoids averts unlikely"
)
NEGATIONS: Final = frozenset(_NEGATIONS.split())
"""They turn what follows within `REACH` words, at part strength: "not hacked" is better than no news, but by little."""
NEGATED: Final = -0.5
INTENSIFIERS: Final[Mapping[str, float]] = {
    word: factor
    for factor, words in {
        1.5: "massive huge biggest worst largest",
        1.3: "sharply record major",
        0.6: "modest mild may could possible",
        0.5: "slightly minor might",
    }.items()
    for word in words.split()
}
REACH: Final = 3
