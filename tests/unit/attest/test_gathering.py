"""Members over real sockets: each serves what it verified, and one good peer is enough to reach all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from margrave.attest.attester import Attester
from margrave.attest.ballots import Ballots
from margrave.attest.exchange import Exchange
from margrave.attest.peers import Peers
from margrave.attest.pool import Pool
from margrave.attest.service import service
from margrave.messages import Bundle, Hold, Snapshot
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.store.journal import Journal
from margrave.verdicts import HoldReason

from .conftest import DOMAIN, ROUND, Committee, report_of


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def _no_signals():  # type: ignore[no-untyped-def]
    from contextlib import nullcontext

    return nullcontext()


def status() -> dict[str, object]:
    return {"name": "peer", "ready": False, "why": "no round yet"}


@asynccontextmanager
async def member(
    committee: Committee, index: int, folder: Path, stack: AsyncExitStack, urls: list[str]
) -> AsyncIterator[tuple[Attester, str]]:
    pool, ballots = Pool(), Ballots()
    url = await stack.enter_async_context(served(service(pool, ballots, Metrics(), status)))
    peers = await stack.enter_async_context(Peers(urls, timeout_s=2))
    journal = Journal(folder / f"{index}.sqlite")
    journal.saw(Snapshot(round=ROUND, as_of_ms=0, markets=(), holds=(), refusals=()), {})
    exchange = Exchange(peers=peers, pool=pool, ballots=ballots, journal=journal, metrics=Metrics(), domain=DOMAIN)
    yield Attester(signer=committee.signer(index), exchange=exchange, clock=Clock()), url


async def gather(attester: Attester, committee: Committee, *, patience_s: float = 5.0) -> Bundle | Hold:
    now_ms = attester.clock.now_ms()
    until_ms = now_ms + round(patience_s * 1000)
    return await attester.gather(ROUND, committee.epoch, all_until_ms=now_ms, until_ms=until_ms)


async def test_three_members_of_four_make_a_quorum_although_one_is_dead(committee: Committee, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        urls = ["http://127.0.0.1:9"]  # nobody listens there
        for index in (0, 1):
            other, url = await stack.enter_async_context(member(committee, index, tmp_path, stack, []))
            other.sign(report_of(committee, word=index + 5))
            urls.append(url)
        me, _ = await stack.enter_async_context(member(committee, 2, tmp_path, stack, urls))
        me.sign(report_of(committee))
        bundle = await gather(me, committee)
    assert isinstance(bundle, Bundle)
    assert [a.words[0] for a in bundle.attestations] == [5, 6, 7]
    assert len(me.exchange.journal.attestations(ROUND)) == 3


async def test_one_peer_passes_on_what_others_signed(committee: Committee, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        hub, url = await stack.enter_async_context(member(committee, 0, tmp_path, stack, []))
        hub.sign(report_of(committee))
        hub.exchange.pool.add(committee.attest(1, words=(7, 7)))
        me, _ = await stack.enter_async_context(member(committee, 2, tmp_path, stack, [url]))
        me.sign(report_of(committee))
        assert isinstance(await gather(me, committee), Bundle)


async def test_without_a_quorum_the_silent_members_are_named(committee: Committee, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        me, _ = await stack.enter_async_context(member(committee, 2, tmp_path, stack, ["http://127.0.0.1:9"]))
        me.sign(report_of(committee))
        hold = await gather(me, committee, patience_s=0.3)
    assert isinstance(hold, Hold)
    assert hold.reason is HoldReason.NO_QUORUM
    assert committee.epoch.members[0] in hold.detail
    assert committee.epoch.members[2] not in hold.detail


@pytest.mark.parametrize("body", [b"<html>", b'{"round": 500, "attestations": "none"}', b"\x00" * 100])
async def test_a_peer_that_talks_nonsense_costs_only_its_own_words(
    committee: Committee, tmp_path: Path, body: bytes
) -> None:
    async def nonsense(_: Request) -> Response:
        return Response(body)

    async with AsyncExitStack() as stack:
        liar = await stack.enter_async_context(served(Starlette(routes=[Route("/{path:path}", nonsense)])))
        urls = [liar]
        for index in (0, 1):
            other, url = await stack.enter_async_context(member(committee, index, tmp_path, stack, []))
            other.sign(report_of(committee))
            urls.append(url)
        me, _ = await stack.enter_async_context(member(committee, 2, tmp_path, stack, urls))
        me.sign(report_of(committee))
        assert isinstance(await gather(me, committee), Bundle)


async def test_forged_words_of_a_member_are_not_counted(committee: Committee, tmp_path: Path) -> None:
    import msgspec

    async with AsyncExitStack() as stack:
        forger, url = await stack.enter_async_context(member(committee, 0, tmp_path, stack, []))
        forger.sign(report_of(committee))
        forger.exchange.pool.add(msgspec.structs.replace(committee.attest(1, words=(7, 7)), words=(9, 9)))
        me, _ = await stack.enter_async_context(member(committee, 2, tmp_path, stack, [url]))
        me.sign(report_of(committee))
        hold = await gather(me, committee, patience_s=3.0)
    assert isinstance(hold, Hold)
    assert me.exchange.metrics.refusals.labels(source=url, reason="wrong_signer")._value.get() >= 1


async def test_a_node_that_restarts_inside_a_round_stands_by_what_it_signed(
    committee: Committee, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        before, _ = await stack.enter_async_context(member(committee, 0, tmp_path, stack, []))
        first = before.sign(report_of(committee, word=7))
        after, _ = await stack.enter_async_context(member(committee, 0, tmp_path, stack, []))
        again = after.sign(report_of(committee, word=8))
    assert again == first
