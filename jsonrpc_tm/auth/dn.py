"""Distinguished names in slash form, ``/DC=org/O=Example/CN=Jane Doe``: one text for one name, or none at all.

Attribute names are OpenSSL's short names (crypto/objects); texts are compared code point by code point.
"""

import re

from cryptography import x509

from ..core.errors import BadCredentials, ConfigurationError

NAMES = {
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
}
OIDS = {name: oid for oid, name in NAMES.items()}
# how other tools spell them; only what people write into configurations, never what a certificate says
_SPELLINGS = {name.lower(): name for name in OIDS} | {
    "e": "emailAddress",
    "email": "emailAddress",
    "userid": "UID",
    "s": "ST",
    "sp": "ST",
    "surname": "SN",
    "givenname": "GN",
    "streetaddress": "street",
}
# what would start a further attribute when the values are put behind each other
_ATTRIBUTE = re.compile(r"/([A-Za-z0-9.-]+)=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def slash_form(name: x509.Name) -> str:
    """Return *name* in slash form.

    :raises BadCredentials: another name could have the same text (a value contains ``/NAME=``, or several values
        share one place), a value is not text or holds control characters, or the name is empty.
    """
    parts = []
    for rdn in name.rdns:
        attributes = list(rdn)
        if len(attributes) != 1:
            raise BadCredentials("The certificate's name is ambiguous: it has several values in one place")
        value = attributes[0].value
        if not isinstance(value, str) or not value or _CONTROL.search(value):
            raise BadCredentials("The certificate's name has a value that is not plain text")
        if _ATTRIBUTE.search(value):
            raise BadCredentials("The certificate's name is ambiguous: a value contains /NAME=")
        oid = attributes[0].oid.dotted_string
        parts.append(f"/{NAMES.get(oid, oid)}={value}")
    if not parts:
        raise BadCredentials("The certificate has no subject")
    return "".join(parts)


def split(text: str) -> list[tuple[str, str]]:
    """Return the attributes of a name in slash form as pairs of canonical attribute name (or dotted OID) and value.

    :raises ConfigurationError: *text* is not such a name.
    """
    found = list(_ATTRIBUTE.finditer(text))
    if not found or found[0].start() != 0 or _CONTROL.search(text):
        raise ConfigurationError(f"{text!r} is not a DN in slash form, like /DC=org/O=Example/CN=Jane Doe")
    pairs = []
    for match, after in zip(found, [*found[1:], None], strict=True):
        given = match[1]
        name = _SPELLINGS.get(given.lower()) or (given if re.fullmatch(r"[0-9]+(\.[0-9]+)+", given) else None)
        value = text[match.end() : after.start() if after else len(text)]
        if name is None:
            raise ConfigurationError(f"{text!r}: unknown attribute {given!r}; known are {', '.join(sorted(OIDS))}")
        if not value:
            raise ConfigurationError(f"{text!r}: {given} has no value")
        pairs.append((NAMES.get(name, name), value))
    return pairs


def canonical(text: str) -> str:
    """Return a DN as people write it (``/dc=org/…/Email=x``) with the attribute names that ``slash_form`` uses.

    :raises ConfigurationError: *text* is not a DN in slash form.
    """
    return "".join(f"/{name}={value}" for name, value in split(text))


def parse(text: str) -> x509.Name:
    """Return the X.509 name of a DN in slash form, one attribute in each place.

    :raises ConfigurationError: *text* is not such a name, or no certificate can hold it.
    """
    try:
        return x509.Name(
            [x509.NameAttribute(x509.ObjectIdentifier(OIDS.get(name, name)), value) for name, value in split(text)]
        )
    except ValueError as error:
        raise ConfigurationError(f"{text!r} cannot be the name in a certificate: {error}") from None
