"""Several RPC endpoints as one: the first that answers, in the operator's order, and none of a foreign chain.

Reads may go to any endpoint; the next call starts at the preferred one again, so a recovered primary is used at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from aiohttp import ClientError, ClientTimeout
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import BadResponseFormat, Web3RPCError

from margrave.errors import Fatal, Transient

T = TypeVar("T")
Web3 = AsyncWeb3[AsyncHTTPProvider]

UNREACHABLE: Final = (ClientError, asyncio.TimeoutError, OSError, BadResponseFormat)
"""What web3 and aiohttp raise where an endpoint gave no answer worth reading."""


class Endpoints(Protocol):
    """What it takes to reach a chain; `ChainSettings` and each table of [chains] have it."""

    @property
    def rpc(self) -> list[str]: ...

    @property
    def chain_id(self) -> int: ...

    @property
    def timeout_s(self) -> float: ...


class Rpc:
    """Promises: a call returns an endpoint's answer or raises `Transient` naming every endpoint that failed.

    Args:
        provider: what moves the bytes; one that bounds them where the endpoints are not the operator's own.
    """

    def __init__(self, settings: Endpoints, *, provider: type[AsyncHTTPProvider] = AsyncHTTPProvider) -> None:
        self._chain_id = settings.chain_id
        timeout = {"timeout": ClientTimeout(total=settings.timeout_s)}
        # Retries are ours: a provider that retries by itself hides a dead endpoint for the whole round.
        self._endpoints: list[tuple[str, Web3]] = [
            (url, _web3(provider(url, request_kwargs=timeout, exception_retry_configuration=None)))
            for url in settings.rpc
        ]

    async def verify_chain(self) -> None:
        """Every endpoint that answers must be on the configured chain.

        Raises:
            Fatal: an endpoint answers for another chain.
            Transient: none answers.
        """
        answered = False
        for url, web3 in self._endpoints:
            try:
                chain_id = await web3.eth.chain_id
            except UNREACHABLE:
                continue
            answered = True
            if chain_id != self._chain_id:
                raise Fatal(
                    f"{url} is chain {chain_id}, the configuration says {self._chain_id}",
                    advice="correct chain.rpc or chain.chain_id in node.toml",
                )
        if not answered:
            raise self._nobody([(url, "no answer") for url, _ in self._endpoints])

    async def use(self, action: Callable[[Web3], Awaitable[T]]) -> T:
        """Do `action` on the first endpoint that can. An error that is an answer is raised as it is."""
        failures: list[tuple[str, str]] = []
        for url, web3 in self._endpoints:
            try:
                return await action(web3)
            except UNREACHABLE as error:
                failures.append((url, type(error).__name__))
            except Web3RPCError as error:
                if not _is_overload(error):
                    raise
                failures.append((url, "overloaded"))
        raise self._nobody(failures)

    @property
    def providers(self) -> tuple[tuple[str, AsyncHTTPProvider], ...]:
        """(address, provider) in the operator's order, for what must know which endpoint said it."""
        return tuple((url, web3.provider) for url, web3 in self._endpoints)

    async def aclose(self) -> None:
        for _, web3 in self._endpoints:
            await web3.provider.disconnect()

    @staticmethod
    def _nobody(failures: list[tuple[str, str]]) -> Transient:
        tried = ", ".join(f"{url}: {why}" for url, why in failures)
        return Transient(f"no RPC endpoint answers ({tried})", advice="check the endpoints; the node keeps trying")


def _web3(provider: AsyncHTTPProvider) -> Web3:
    # No middleware: it asks for the chain id before every call, which `verify_chain` has settled once.
    return AsyncWeb3(provider, middleware=[])


def _is_overload(error: Web3RPCError) -> bool:
    text = str(error).lower()
    return "rate limit" in text or "too many requests" in text
