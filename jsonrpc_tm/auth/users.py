"""The registry of users, groups and hosts, and the one place where a caller gets a group and its properties."""

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

from ..core.errors import ConfigurationError
from ..core.identity import Identity, User, Users
from ..core.problems import Problems
from ..plugin.marker import hookimpl
from ..settings import Settings
from ..settings.loading import wrong
from . import devcerts
from . import dn as names

HOSTS = "hosts"
"""The group of every host."""


class ConfiguredUsers:
    """The registry section of the configuration.

    :param users: ``registry.users``.
    :param groups: ``registry.groups``.
    :param hosts: ``registry.hosts``.
    :param wrong: makes the error for a setting and the keys below it.
    :raises ConfigurationError: a group does not exist, a DN is none, or two users share a DN or token subject; the
        message has a line for each.
    """

    def __init__(
        self,
        users: Mapping[str, Any],
        groups: Mapping[str, Any],
        hosts: Mapping[str, Any],
        wrong: Callable[..., ConfigurationError] = wrong,
    ) -> None:
        problems = Problems()
        if HOSTS in groups:
            problems.note(
                str(wrong("registry.groups", HOSTS, message="this is the group of the hosts and cannot be defined"))
            )
        self._groups = {name: tuple(entry.get("properties", ())) for name, entry in groups.items()}
        self._names: dict[str, User] = {}
        self._dns: dict[str, User] = {}
        self._subjects: dict[tuple[str | None, str], User] = {}
        known = ", ".join(sorted(self._groups)) or "none"
        for name, entry in users.items():
            where = functools.partial(wrong, "registry.users", name)
            for index, group in enumerate(entry.get("groups", ())):
                if group not in self._groups:
                    message = f"there is no group {group!r} (groups: {known})"
                    problems.note(str(where("groups", index, message=message)))
            dns = _canonical(entry.get("dns", ()), where, problems)
            user = User(name, tuple(entry.get("groups", ())), bool(entry.get("suspended", False)), dns=dns)
            self._names[name] = user
            _enter(self._dns, user.dns, user, functools.partial(where, "dns"), problems)
            subjects = map(_subject, entry.get("subjects", ()))
            _enter(self._subjects, subjects, user, functools.partial(where, "subjects"), problems)
        for name, entry in hosts.items():
            where = functools.partial(wrong, "registry.hosts", name)
            if name in users:
                problems.note(str(where(message="there is a user of this name")))
            dns = _canonical(entry.get("dns", ()), where, problems)
            user = User(name, (HOSTS,), properties=tuple(entry.get("properties", ())), dns=dns)
            _enter(self._dns, dns, user, functools.partial(where, "dns"), problems)
        problems.tell()

    @property
    def of_any_issuer(self) -> list[str]:
        """Names of the users with a token subject that does not say whose it is."""
        return sorted({user.name for (issuer, _), user in self._subjects.items() if issuer is None})

    def by_dn(self, dn: str) -> User | None:
        """Return the user or host with the certificate subject *dn*."""
        return self._dns.get(dn)

    def by_subject(self, issuer: str, subject: str) -> User | None:
        """Return the user of a token: an entry ``<issuer> <subject>`` counts before one without issuer."""
        return self._subjects.get((issuer, subject)) or self._subjects.get((None, subject))

    def by_name(self, name: str) -> User | None:
        """Return the user called *name*."""
        return self._names.get(name)

    def properties(self, group: str) -> tuple[str, ...]:
        """Return the properties of a group."""
        return self._groups.get(group, ())


def _canonical(dns: Iterable[str], where: Callable[..., ConfigurationError], problems: Problems) -> tuple[str, ...]:
    found = []
    for index, dn in enumerate(dns):
        try:
            found.append(names.canonical(dn))
        except ConfigurationError as error:
            problems.note(str(where("dns", index, message=str(error))))
    return tuple(found)


def _subject(entry: str) -> tuple[str | None, str]:
    """Return issuer and subject of an entry: ``https://issuer.example.org subject``, or a subject of any issuer."""
    issuer, space, subject = entry.partition(" ")
    return (issuer, subject) if space and "://" in issuer else (None, entry)


K = TypeVar("K", str, tuple[str | None, str])


def _enter(
    index: dict[K, User],
    keys: Iterable[K],
    user: User,
    where: Callable[..., ConfigurationError],
    problems: Problems,
) -> None:
    """Let *index* lead from each of *keys* to *user*."""
    for place, key in enumerate(keys):
        if key in index:
            text = key if isinstance(key, str) else " ".join(filter(None, key))
            problems.note(str(where(place, message=f"{text!r} is there already, for {index[key].name}")))
        else:
            index[key] = user


def admit(
    users: Users,
    user: User | None,
    *,
    who: str,
    claimed: str | None,
    proven: str | None,
    authentication: Literal["x509", "proxy", "jwt"],
    expires: datetime,
    dn: str | None = None,
    subject: str | None = None,
) -> Identity:
    """Return the identity of a caller whose credentials are good.

    :param user: the registry's entry; None when it has none.
    :param who: how the credentials name the caller, for the reason.
    :param claimed: the group of the header ``X-TM-Group``.
    :param proven: the group that the proxy or token carries.
    """
    facts: dict[str, Any] = {"dn": dn, "subject": subject, "authentication": authentication, "expires": expires}
    if user is None:
        return Identity(reason=f"{who} is not in the registry", **facts)
    facts["username"] = user.name
    group = proven or claimed or next(iter(user.groups), None)
    if proven is not None and proven not in user.groups:
        return Identity(refused=f"{user.name} is not a member of the group {proven[:100]!r}", **facts)
    if claimed is not None and claimed not in user.groups:
        return Identity(refused=f"{user.name} is not a member of the group {claimed[:100]!r}", **facts)
    if claimed is not None and claimed != group:
        return Identity(refused=f"The credentials are for the group {group!r}, not for {claimed!r}", **facts)
    if user.suspended:
        return Identity(reason=f"{user.name} is suspended", **facts)
    if group is None:
        return Identity(reason=f"{user.name} is in no group", **facts)
    properties = users.properties(group) if user.properties is None else user.properties
    bound = proven is not None
    return _admitted(user.name, group, tuple(properties), dn, subject, authentication, expires, None, None, bound)


@functools.lru_cache(1000)
def _admitted(*facts: Any) -> Identity:
    # a caller is the same one call after the other, and making one takes as long as finding it out
    return Identity(*facts)


def entries(settings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the effective ``users``, ``groups`` and ``hosts`` of the configuration.

    Development mode (``server.tls.mode: dev``) without users of one's own has those of ``devcerts.REGISTRY``.
    """
    if settings["server.tls.mode"] == "dev" and not (settings["registry.users"] or settings["registry.hosts"]):
        return devcerts.REGISTRY
    return {kind: settings[f"registry.{kind}"] for kind in ("users", "groups", "hosts")}


@hookimpl
def register_users(settings: Mapping[str, Any]) -> Iterable[Users]:
    """Provide the registry of the configuration."""
    yield ConfiguredUsers(**entries(settings), wrong=settings.wrong if isinstance(settings, Settings) else wrong)
