"""Where sittings are held: in this process, in some of this machine's, or on a Ray cluster. The answers are equal.

A sitting depends on its task and the panel alone, so it does not matter who holds it nor in which order. Those of one
leg and kind are held together, because much of what families derive from a leg is the same; the longest go first.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from margrave.errors import Fatal
from margrave.lab.court.answers import Sitting
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import ByHorizon, Room, room


class EngineName(StrEnum):
    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class Fault:
    """A family's own, on one leg: it is said, and its answers there are none."""

    why: str


Held = ByHorizon | Fault


class Engine(Protocol):
    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, Held]]:
        """(place in `sittings`, answers) as they come in."""
        ...


def engine(name: EngineName, workers: int) -> Engine:
    """
    Raises:
        Fatal: Ray was asked for and is not installed.
    """
    return Ray(workers) if name is EngineName.RAY else Local(workers)


Session = list[int]
"""Places of the sittings that are held together."""


def sessions(sittings: Sequence[Sitting]) -> list[Session]:
    """By leg and kind, the last leg first: it has the longest past, and nobody should wait for it alone at the end."""
    together: dict[tuple[int, tuple[int, ...]], Session] = defaultdict(list)
    for place, sitting in enumerate(sittings):
        together[-sitting.leg.fit_row, sitting.horizons_h].append(place)
    return [together[key] for key in sorted(together)]


def hold(panel: Panel, sittings: Sequence[Sitting]) -> list[Held]:
    """Those of one leg.

    Raises:
        Fatal: a family looks ahead.
    """
    # A leg's panels hold models that hold the panels: gigabytes that nobody comes by to collect, because they are few.
    gc.collect()
    here = room(panel, sittings[0].leg)
    found = [_held(here, sitting) for sitting in sittings]
    sound = [sitting for sitting, held in zip(sittings, found, strict=True) if not isinstance(held, Fault)]
    if audited := [(sitting.family, sitting.horizons_h) for sitting in sound if sitting.audited]:
        here.audit(audited)
    return found


def _held(here: Room, sitting: Sitting) -> Held:
    try:
        return here.sit(sitting.family, sitting.horizons_h)
    except Fatal:
        raise
    except Exception as error:  # hours of the others' work must not be lost to one family's fault
        day = str(here.past.open_ms[-1].astype("datetime64[ms]").astype("datetime64[D]"))
        return Fault(f"{sitting.family.name} failed, fitted at {day}: {type(error).__name__}: {error}")


SESSIONS_A_PROCESS: Final = 6
"""Then it gives way to a new one: with forty assets a process grows by some quarter of a gigabyte a session, and
collecting garbage between sessions does not shrink it."""


@dataclass(frozen=True, slots=True)
class Local:
    workers: int

    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, Held]]:
        todo = sessions(sittings)
        if min(self.workers, len(todo)) <= 1:
            for session in todo:
                yield from zip(session, hold(panel, [sittings[place] for place in session]), strict=True)
            return
        # Each worker has a core: a linear algebra library that starts threads of its own would take the others'.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        several = SESSIONS_A_PROCESS * self.workers
        for begin in range(0, len(todo), several):
            yield from self._by_processes(panel, sittings, todo[begin : begin + several])

    def _by_processes(
        self, panel: Panel, sittings: Sequence[Sitting], todo: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, Held]]:
        with ProcessPoolExecutor(
            min(self.workers, len(todo)), multiprocessing.get_context("spawn"), _take, (panel,)
        ) as pool:
            asked = {pool.submit(_hold, [sittings[place] for place in session]): session for session in todo}
            try:
                for done in as_completed(asked):
                    yield from zip(asked.pop(done), done.result(), strict=True)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


@dataclass(frozen=True, slots=True)
class Ray:
    """The cluster that RAY_ADDRESS names or that this process is connected to; else one of its own on this machine."""

    workers: int

    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, Held]]:
        ray = _ray()
        own = not ray.is_initialized()
        if own:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of a study
            there = os.environ.get("RAY_ADDRESS")
            size = {} if there else {"num_cpus": self.workers}
            ray.init(address=there, include_dashboard=False, log_to_driver=False, **size)
        try:
            held, ask = ray.put(panel), ray.remote(hold)
            waiting = {
                ask.remote(held, [sittings[place] for place in session]): session for session in sessions(sittings)
            }
            while waiting:
                (done,), _ = ray.wait(list(waiting), num_returns=1)
                yield from zip(waiting.pop(done), _got(ray, done), strict=True)
        finally:
            if own:
                ray.shutdown()


def _got(ray: Any, done: Any) -> list[Held]:
    try:
        answers: list[Held] = ray.get(done)
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


def _hold(sittings: Sequence[Sitting]) -> list[Held]:
    return hold(_PANEL[0], sittings)
