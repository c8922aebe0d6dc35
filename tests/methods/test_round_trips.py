"""Texts come back byte for byte through every path, on both engines: get, list, parameters, condition, log."""

import pytest

TEXTS = {
    "quotes and backslashes": "'\"`\\ \\n \\' '' %s %(x)s :x {} $1 -- ; /* */",
    "every newline": "\r\n\n\r\t\v\f\x1c\x85\u2028\u2029",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f",
    "unicode of one to four bytes": "aé\u0301\ufeff\ufffd\uffff日\U0001f600\U0010ffff",
    "spaces around": " x \t",
    "a megabyte of XML": "<?xml version='1.0'?><job><![CDATA[" + "é\"'\\\r\n" * 150_000 + "]]></job>",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_text_comes_back_byte_for_byte(tm, text):
    short = text[:200]
    await tm.add(body=text, description=short, longDescription=text[:10_000])
    await tm("setTransformationParameter", 1, "Extra", {short: [text]})
    await tm("setTransformationParameter", 1, "Note", text)
    await tm("setTransformationParameter", 1, "Description", short)
    wanted = {"Body": text, "Description": short, "LongDescription": text[:10_000]}
    extra = {"Extra": {short: [text]}, "Note": text}
    for name in ("Body", "Description", "LongDescription"):
        (row,) = await tm("getTransformations", condDict={name: wanted[name]}, extraParams=True)
        assert {**row, **wanted, **extra} == row
        assert await tm("getTransformation", 1, True) == row
    assert await tm("getTransformationParameters", 1, [*wanted, *extra]) == wanted | extra
    assert await tm("getAdditionalParameters", 1) == extra
    # compare-and-set compares what is there with what comes
    await tm("setTransformationParameter", 1, "Body", text, text)
    await tm("setTransformationParameter", 1, "Note", text, text)
    assert f"Description updated to {short}" in await tm.log()


# a name with a semicolon goes into no task
@pytest.mark.parametrize("text", [text[:200].replace(";", ",") for text in TEXTS.values()], ids=TEXTS)
async def test_a_name_comes_back_byte_for_byte(tm, text):
    await tm.add(text)
    await tm("addFilesToTransformation", text, [text, "/other"])
    task = await tm("addTaskForTransformation", text, [text], text)
    assert (await tm("getTransformation", text))["TransformationName"] == text
    (file,) = await tm("getTransformationFiles", {"LFN": text})
    assert (file["LFN"], file["UsedSE"], file["TaskID"]) == (text, text, task)
    assert list((await tm("getFileSummary", [text]))["Successful"]) == [text]
    assert await tm("exists", [text]) == {"Successful": {text: True}, "Failed": {}}
    (row,) = await tm("getTransformationTasks", condDict={"TargetSE": text}, inputVector=True)
    assert row["InputVector"] == text
