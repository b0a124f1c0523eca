"""web3's HTTP provider, less what it trusts a stranger with: how long an answer is, and how deep it nests."""

from __future__ import annotations

from typing import Final

from aiohttp import ClientPayloadError
from eth_typing import URI
from web3 import AsyncHTTPProvider
from web3.exceptions import BadResponseFormat
from web3.types import RPCEndpoint, RPCResponse

from margrave.ops import strict_json

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Logs of a busy range are some MiB; what would fill our memory is cut off while it arrives."""
EXPLAINED: Final = (400, 404, 413, 422)
"""Statuses under which some providers put an error of the protocol, which then says more than the status."""


class BoundedProvider(AsyncHTTPProvider):
    """Raises what web3's does, `ClientPayloadError` for too much, and `BadResponseFormat` for what is not JSON."""

    async def _make_request(self, _method: RPCEndpoint, request_data: bytes) -> bytes:
        answer = await self._request_session_manager.async_get_response_from_post_request(
            URI(str(self.endpoint_uri)), data=request_data, raise_for_status=False, **self.get_request_kwargs()
        )
        async with answer:
            received = bytearray()
            async for chunk in answer.content.iter_any():
                received += chunk
                if len(received) > MAX_ANSWER_BYTES:
                    raise ClientPayloadError(f"more than {MAX_ANSWER_BYTES >> 20} MiB")
            if answer.status not in EXPLAINED or b'"error"' not in received:
                answer.raise_for_status()
        return bytes(received)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        if strict_json.nesting(raw_response) > strict_json.MAX_NESTING:
            raise BadResponseFormat(f"JSON nests deeper than {strict_json.MAX_NESTING}")
        try:
            return AsyncHTTPProvider.decode_rpc_response(raw_response)
        except ValueError as error:
            raise BadResponseFormat(f"{len(raw_response)} bytes are not JSON") from error
