"""Distinguished names: one text for one name, in certificates and in configurations."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.auth import dn
from jsonrpc_tm.core.errors import BadCredentials, ConfigurationError


def test_usual_attribute_names() -> None:
    text = (
        "/C=CH/ST=GE/L=Geneva/DC=ch/DC=cern/O=CERN/OU=Users/CN=Jane Doe/emailAddress=jane@cern.ch/UID=jd"
        "/SN=Doe/GN=Jane/serialNumber=7/title=Dr/street=Rue 1"
    )
    assert dn.slash_form(dn.parse(text)) == text


def test_attribute_without_a_name_has_its_oid() -> None:
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier("1.2.3.4"), "x")])
    assert dn.slash_form(name) == "/1.2.3.4=x"


@pytest.mark.parametrize(
    "value", ["host/tm.example.org", "a/b/c", "a=b", "/", "=", "a/", "http://x?a=b", "Jané", "a+b,c"]
)
def test_values_that_are_kept(value: str) -> None:
    text = f"/O=x/CN={value}"
    name = x509.Name(
        [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "x"), x509.NameAttribute(x509.NameOID.COMMON_NAME, value)]
    )
    assert dn.slash_form(name) == text
    assert dn.canonical(text) == text


@pytest.mark.parametrize(
    "value", ["a/CN=b", "/CN=b", "a/2.5.4.3=b", "a/x=b", "a/cn=", "a\0b", "a\nb", "a\x7fb", "a\x85b"]
)
def test_values_that_are_refused(value: str) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, value)])
    with pytest.raises(BadCredentials):
        dn.slash_form(name)


def test_empty_name() -> None:
    with pytest.raises(BadCredentials):
        dn.slash_form(x509.Name([]))


def test_bits_are_no_text() -> None:
    bits = x509.NameAttribute(x509.NameOID.X500_UNIQUE_IDENTIFIER, b"\0x", x509.name._ASN1Type.BitString)
    with pytest.raises(BadCredentials):
        dn.slash_form(x509.Name([bits]))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/dc=org/cn=x", "/DC=org/CN=x"),
        ("/O=x/Email=a@b", "/O=x/emailAddress=a@b"),
        ("/O=x/E=a@b", "/O=x/emailAddress=a@b"),
        ("/O=x/USERID=7", "/O=x/UID=7"),
        ("/S=GE", "/ST=GE"),
        ("/2.5.4.3=x/1.2.3=y", "/CN=x/1.2.3=y"),
    ],
)
def test_spellings_in_the_configuration(written: str, meant: str) -> None:
    assert dn.canonical(written) == meant


@pytest.mark.parametrize(
    "text", ["", "/", "CN=alice", "CN=alice,DC=org", "alice", "x/CN=alice", "/CN=", "/CN=/O=x", "/XX=y", "/CN=a\0"]
)
def test_what_is_no_name_in_the_configuration(text: str) -> None:
    with pytest.raises(ConfigurationError):
        dn.canonical(text)


_ATTRIBUTES = st.tuples(
    st.sampled_from([oid for oid in dn.NAMES if oid != "2.5.4.6"] + ["1.2.3.4"]), st.text(min_size=1, max_size=15)
)


def _same_text_same_name(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    texts = []
    for attributes in (one, other):
        pairs = [x509.NameAttribute(x509.ObjectIdentifier(oid), text) for oid, text in attributes]
        try:
            texts.append(dn.slash_form(x509.Name(pairs)))
        except BadCredentials:
            return
    assert (texts[0] == texts[1]) == (one == other)


@given(st.lists(_ATTRIBUTES, min_size=1, max_size=4), st.lists(_ATTRIBUTES, min_size=1, max_size=4))
def test_different_names_have_different_texts(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    _same_text_same_name(one, other)


_TRICKY = st.lists(st.sampled_from(["/", "=", "CN", "O", "a", ".", "2.5.4.3", " "]), min_size=1, max_size=8).map(
    "".join
)


@given(st.lists(_TRICKY, min_size=1, max_size=3), st.lists(_TRICKY, min_size=1, max_size=3))
def test_no_trick_with_slashes_and_equals_signs(one: list[str], other: list[str]) -> None:
    _same_text_same_name([("2.5.4.3", value) for value in one], [("2.5.4.3", value) for value in other])
