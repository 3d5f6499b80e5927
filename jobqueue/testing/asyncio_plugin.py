"""Asyncio plugin: the fixture `jobs` where pytest-asyncio runs async fixtures."""

from __future__ import annotations

import pytest_asyncio

from jobqueue.testing.plugin import opened_jobs

on_asyncio = pytest_asyncio.fixture(name="_jobqueue_jobs_asyncio")(opened_jobs)
