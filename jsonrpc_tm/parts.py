"""The finished parts of a server that factories of plugins get: nothing half-built is handed over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .core.clock import Clock
from .core.identity import Authenticator, Users
from .settings import Settings
from .storage.base import Storage


@dataclass(frozen=True, slots=True)
class Parts:
    """What is there before catalogs and authenticators are made.

    :param settings: validated.
    :param storage: not yet opened.
    :param users: the registry of users.
    :param clock: returns the present moment, UTC, aware.
    """

    settings: Settings
    storage: Storage
    users: Users
    clock: Clock


class AuthenticatorFactory(Protocol):
    """What ``register_authenticator`` hands over.

    ``name`` is the key in the configuration's ``authentication`` list.
    """

    name: str

    def __call__(self, options: Mapping[str, Any], parts: Parts) -> Authenticator:
        """Return the authenticator for *options*, the value under its name.

        :raises ConfigurationError: the options are wrong.
        """
