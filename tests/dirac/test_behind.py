"""DIRAC's calls behind which others of ours are made: what these answer is told in DIRAC's way."""

from .test_wire import ADD, filled

__all__ = ["filled"]


async def test_calls_behind_a_call_that_are_refused(filled, admin):
    service = filled.service
    nobody = dict.fromkeys(("getCounters", "getTransformations"), ("Nobody",))
    service.renew(service.users, {**service.rules, **nobody}, service.authenticators)
    reply = (await filled.call(admin, "getTransformationTaskStats", "")).json
    assert (reply["OK"], reply["Errno"]) == (False, 13)
    reply = (await filled.call(admin, "addTransformation", *ADD)).json
    assert reply["Message"] == "Transformation with name t already exists"
