"""The reader of proofs, which the lifespan opens: from a folder or from a site, as the profile's URL says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from handlers.users.proof import Missing, Reading, unfit_because
from handlers.users.proof_folder import read_in_folder
from handlers.users.proof_site import ProofSites
from jobqueue import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class ProofReader:
    """Reads the proofs for the service whose name is `hostname`."""

    hostname: str | None
    folder: Path | None
    sites: ProofSites

    def service(self) -> str:
        """The service's name. Raises: SettingsError where nobody has said it."""
        if self.hostname is None:
            raise SettingsError("SERVICE_HOSTNAME", "is not set; it is the name of the file in which a proof is")
        return self.hostname

    async def read(self, url: str) -> Reading:
        """Read `{url}/proofs/{hostname}`; what went wrong is in the answer. Raises: SettingsError."""
        hostname = self.service()
        unfit = unfit_because(url)
        if unfit is not None:
            return Missing(unfit)
        if not url.lower().startswith("file:"):
            return await self.sites.read(url, hostname)
        try:
            return await read_in_folder(self.folder, httpx.URL(url), hostname)
        except httpx.InvalidURL:
            return Missing("url: is not a URL like file:///profiles/ada")


@asynccontextmanager
async def open_proof_reader(settings: Settings) -> AsyncGenerator[ProofReader]:
    """A reader as SERVICE_HOSTNAME and PROFILES_FOLDER have it."""
    async with ProofSites(allow_private=settings.is_local) as sites:
        yield ProofReader(settings.service_hostname, settings.profiles_folder, sites)
