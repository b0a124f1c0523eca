"""Where sittings are held: in this process, in some of this machine's, or on a Ray cluster. The answers are equal.

A sitting depends on its task and the panel alone, so it does not matter who holds it nor in which order.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from margrave.errors import Fatal
from margrave.lab.court.answers import Sitting
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import ByHorizon, sit


class EngineName(StrEnum):
    LOCAL = "local"
    RAY = "ray"


class Engine(Protocol):
    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, ByHorizon]]:
        """(place in `sittings`, answers) as they come in."""
        ...


def engine(name: EngineName, workers: int) -> Engine:
    """
    Raises:
        Fatal: Ray was asked for and is not installed.
    """
    return Ray(workers) if name is EngineName.RAY else Local(workers)


def hold(panel: Panel, sitting: Sitting) -> ByHorizon:
    return sit(panel, sitting.family, sitting.leg, sitting.horizons_h, audited=sitting.audited)


@dataclass(frozen=True, slots=True)
class Local:
    workers: int

    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, ByHorizon]]:
        if min(self.workers, len(sittings)) <= 1:
            for place, sitting in enumerate(sittings):
                yield place, hold(panel, sitting)
            return
        # Each worker has a core: a linear algebra library that starts threads of its own would take the others'.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        with ProcessPoolExecutor(
            min(self.workers, len(sittings)), multiprocessing.get_context("spawn"), _take, (panel,)
        ) as pool:
            asked = {pool.submit(_hold, sitting): place for place, sitting in enumerate(sittings)}
            try:
                for done in as_completed(asked):
                    yield asked[done], done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


@dataclass(frozen=True, slots=True)
class Ray:
    """The cluster that RAY_ADDRESS names or that this process is connected to; else one of its own on this machine."""

    workers: int

    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, ByHorizon]]:
        ray = _ray()
        own = not ray.is_initialized()
        if own:
            there = os.environ.get("RAY_ADDRESS")
            size = {} if there else {"num_cpus": self.workers}
            ray.init(address=there, include_dashboard=False, log_to_driver=False, **size)
        try:
            held, ask = ray.put(panel), ray.remote(hold)
            waiting = {ask.remote(held, sitting): place for place, sitting in enumerate(sittings)}
            while waiting:
                (done,), _ = ray.wait(list(waiting), num_returns=1)
                yield waiting.pop(done), _got(ray, done)
        finally:
            if own:
                ray.shutdown()


def _got(ray: Any, done: Any) -> ByHorizon:
    try:
        answers: ByHorizon = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        # Said as it would have been said here.
        raise error.cause if isinstance(error.cause, Fatal) else error from None
    return answers


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise Fatal("ray is not installed", advice="pip install 'margrave[ray]', or leave --engine local") from error
    return ray


_PANEL: list[Panel] = []
"""A worker's own copy, taken once."""


def _take(panel: Panel) -> None:
    _PANEL[:] = [panel]


def _hold(sitting: Sitting) -> ByHorizon:
    return hold(_PANEL[0], sitting)
