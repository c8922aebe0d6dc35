"""A small file catalog, and what tests of announced files ask of it."""

CONTENT = {
    "fields": {"particle": "string", "zenith": "int", "size": "float"},
    "directories": {
        "/": {},
        "/vo": {},
        "/vo/g": {"particle": "gamma", "zenith": 20},
        "/vo/g/deep": {"site": "N"},
        "/vo/p": {"particle": "proton"},
        "/vo/none": {},
    },
    "files": {
        "/vo/g/1": {"size": 1.5},
        "/vo/g/2": {"size": "huge"},
        "/vo/g/3": {"zenith": 40},
        "/vo/g/deep/4": {},
        "/vo/p/5": {},
    },
}


async def want(tm, name, query, **named):
    return await tm.add(name, inputMetaQuery=query, addFiles=False, **named)


async def files_of(tm, trans, *columns):
    rows = await tm("getTransformationFiles", condDict={"TransformationID": trans}, columns=["LFN", *columns])
    return {row.pop("LFN"): row for row in rows}
