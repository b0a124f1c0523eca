"""Families that speak of a part of the study only, which must not shrink the others' sample to it.

A model of the registry was trained once and is silent on the hours that it was trained on. It is judged apart, on the
pairs that all such families answered, and whoever is judged on the whole is judged on these pairs again beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families import Listed, Role
from margrave.lab.court.hearing import Floats, kept, sound_pairs
from margrave.lab.court.walk import Answers

Ints = NDArray[np.int64]

WHOLE: Final = 0.95
"""Share of the pairs that the baselines and ours all answered which a candidate answers too, or it is heard apart."""
LEAST_TIMES: Final = 100
"""Fewer say nothing of anybody."""


def parted(
    listed: Sequence[Listed],
    answers: Mapping[str, Answers],
    assets: int,
    sound: Callable[[Floats], NDArray[np.bool_]],
) -> tuple[dict[str, Answers], dict[str, Answers], dict[str, str]]:
    """(answers of those heard on the whole, answers of all on the part, why others are not heard at all).

    The part is empty where nobody speaks of one only. Baselines and ours are always heard on the whole.
    """
    pairs = {name: sound_pairs(answer, assets, sound) for name, answer in answers.items()}
    candidates = {x.name for x in listed if x.role is Role.CANDIDATE}
    needed = [pairs[name] for name in answers if name not in candidates] or [reduce(np.union1d, pairs.values())]
    core = reduce(np.intersect1d, needed)
    whole = {
        name: answer
        for name, answer in answers.items()
        if name not in candidates or np.isin(core, pairs[name]).sum() >= WHOLE * len(core)
    }
    late, silent = {}, {}
    for name in answers.keys() - whole.keys():
        times = len(np.unique(pairs[name] // assets))
        if times >= LEAST_TIMES:
            late[name] = pairs[name]
        else:
            silent[name] = f"spoke at {times} times only"
    if not late:
        return whole, {}, silent
    common = reduce(np.intersect1d, late.values())
    if len(np.unique(common // assets)) < LEAST_TIMES:
        # they speak of parts that hardly meet: the one that says most is heard
        most = max(sorted(late), key=lambda name: len(late[name]))
        silent |= {name: f"hardly a time at which {most} speaks too" for name in late if name != most}
        common, late = late[most], {most: late[most]}
    part = {name: kept(answers[name], assets, common) for name in answers if name in whole or name in late}
    return whole, part, silent
