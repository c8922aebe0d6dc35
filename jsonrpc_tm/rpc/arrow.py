"""Lists as streams of Apache Arrow, where pyarrow is installed (the extra ``arrow``)."""

import io
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar

import orjson

from .listing import Head, NotOffered, RowForm

INSTALLED = find_spec("pyarrow") is not None
"""Whether this server can put out Arrow."""


class Arrow:
    """Record batches; a last one without rows has their number and the revision in its custom_metadata.

    Whole numbers are int64, others float64, and all else is text as in JSON, dates too. Rows that are pairs of an
    object and a number (getCounters) have the object's members and ``count`` as columns.
    """

    media: ClassVar[str] = "application/vnd.apache.arrow.stream"
    reads: ClassVar[RowForm] = "values"

    def __init__(self) -> None:
        self._sink = io.BytesIO()
        self._writer: Any = None
        self._count = 0

    def rows(self, head: Head, batch: list[Any]) -> bytes:
        """Return a record batch; see ``Form``."""
        arrow = _pyarrow()
        if head.columns is not None:
            schema = self._begin(arrow, head.columns)
            arrays = [
                arrow.array(values, one.type) for values, one in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            found = arrow.record_batch(arrays, schema=schema)
        elif isinstance(batch[0], list):
            pairs = [{**values, "count": number} for values, number in batch]
            schema = self._begin(arrow, {} if self._writer is not None else _kinds(head.values))
            found = arrow.RecordBatch.from_pylist(pairs, schema=schema)
        else:
            raise NotOffered("Invalid request: rows with additional parameters cannot be had as Arrow")
        self._count += len(batch)
        self._writer.write_batch(found)
        return self._taken()

    def end(self, head: Head, id: Any) -> bytes:
        """Return the last batch; see ``Form``."""
        return self._last(head.columns or {}, {"count": str(self._count), "revision": str(head.revision)})

    def error(self, error: Mapping[str, Any]) -> bytes:
        """Return a last batch that has the error instead; see ``Form``."""
        return self._last({}, {"error": orjson.dumps(error)})

    def _begin(self, arrow: Any, columns: Mapping[str, str]) -> Any:
        if self._writer is None:
            types = {"int": arrow.int64(), "float": arrow.float64()}
            self._schema = arrow.schema([(name, types.get(kind, arrow.string())) for name, kind in columns.items()])
            self._writer = arrow.ipc.new_stream(self._sink, self._schema)
        return self._schema

    def _last(self, columns: Mapping[str, str], metadata: Mapping[str, str | bytes]) -> bytes:
        arrow = _pyarrow()
        schema = self._begin(arrow, columns)
        self._writer.write_batch(_empty(arrow, schema), metadata)
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        text = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return text


def _pyarrow() -> Any:
    try:
        import pyarrow.ipc
    except ImportError:
        raise NotOffered("Invalid request: this server has no Arrow (its extra arrow is not installed)") from None
    return pyarrow


def _empty(arrow: Any, schema: Any) -> Any:
    return arrow.record_batch([arrow.array([], one.type) for one in schema], schema=schema)


def _kinds(pairs: Sequence[Any]) -> Mapping[str, str]:
    """Return the kinds of the columns: of all rows, since nulls come first."""
    return {**{name: _kind(values[name] for values, _ in pairs) for name in pairs[0][0]}, "count": "int"}


def _kind(values: Iterable[Any]) -> str:
    kinds = {type(value) for value in values} - {type(None)}
    return "int" if kinds == {int} else "float" if kinds and kinds <= {int, float} else "text"
