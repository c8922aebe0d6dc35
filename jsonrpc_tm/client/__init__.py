"""Clients: over HTTPS for asyncio (``Client``), without asyncio (``SyncClient``). Needs aiohttp and orjson alone."""

from .base import BaseClient, ConnectionFailed
from .events import EventsMissed
from .https import Client, endpoint
from .listing import ArrowListing, Incomplete, Listing
from .sync import SyncClient, SyncListing
from .tls import tls_context

__all__ = [
    "ArrowListing",
    "BaseClient",
    "Client",
    "ConnectionFailed",
    "EventsMissed",
    "Incomplete",
    "Listing",
    "SyncClient",
    "SyncListing",
    "endpoint",
    "tls_context",
]
