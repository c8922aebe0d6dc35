"""Form-encoded requests."""

import email.parser
import email.policy
from urllib.parse import parse_qsl

FIELDS = 50
"""Most fields of a form. DIRAC sends six at most."""


class BadForm(Exception):
    """Not a form."""


def parse(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form; of a field given twice the last one counts.

    :param content_type: the whole header.
    :raises BadForm: another type, too many fields, or not UTF-8.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            # strict parsing would refuse a field without "=", which tornado passes over
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
            return dict(pairs)
        if kind == "multipart/form-data":
            return _multipart(content_type, body)
    except (ValueError, LookupError):
        raise BadForm("not a form") from None
    raise BadForm("the Content-Type is not a form's")


def _multipart(content_type: str, body: bytes) -> dict[str, str]:
    if body.count(b"\n--") > FIELDS + 1 or "\n" in content_type:
        raise BadForm("too many fields")
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if message.defects or not message.is_multipart():
        raise BadForm("not a form in parts")
    found = {}
    for part in message.iter_parts():
        if part.is_multipart():
            raise BadForm("a form inside a form")
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise BadForm("a part without name")
        found[name] = payload.decode()
    return found
