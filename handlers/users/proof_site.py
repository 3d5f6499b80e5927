"""Proofs on a site: one GET to the address that was checked, in five seconds in all."""

from __future__ import annotations

from typing import Final

import httpcore

from handlers.outside.address import parse_url
from handlers.outside.client import OutsideClient
from handlers.outside.errors import ForbiddenAddress, InvalidUrl, NoAnswer
from handlers.users.proof import MAX_BYTES, TOO_LARGE, Found, Missing, OutOfReach, Reading, path_of_proof

_NOT_NOW: Final = (408, 425, 429)


class ProofSites(OutsideClient):
    """The client that reads proofs."""

    async def read(self, url: str, hostname: str) -> Reading:
        """Get the proof once; what went wrong is in the answer.

        A redirect is not followed: many sites send on to wherever a visitor asks to be sent.
        """
        try:
            site = parse_url(url, allow_private=self.allow_private)
            path = path_of_proof(site.raw_path.decode("ascii"), hostname)
            proof = site.copy_with(raw_path=path.encode("ascii"))
            async with self.request("GET", proof, {"Accept": "application/json"}) as response:
                return await _reading_of(response)
        except InvalidUrl as error:
            return Missing(str(error))
        except ForbiddenAddress as error:
            return Missing(f"url: {error}")
        except NoAnswer as error:
            return OutOfReach(str(error))


async def _reading_of(response: httpcore.Response) -> Reading:
    if response.status in _NOT_NOW or response.status >= 500:
        return OutOfReach(f"the site answers {response.status}")
    if response.status != 200:
        return Missing(f"there is no proof: the site answers {response.status}")
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > MAX_BYTES:
            return TOO_LARGE
    return Found(bytes(body))
