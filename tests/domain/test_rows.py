"""How described rows become a statement."""

import pytest

from jsonrpc_tm.core.model import TRANSFORMATION_LOG
from jsonrpc_tm.domain import reports
from jsonrpc_tm.domain.page import Page
from jsonrpc_tm.domain.rows import Rows
from jsonrpc_tm.domain.work import DomainParts, Work
from jsonrpc_tm.storage.dialect import MYSQL, SQLITE
from jsonrpc_tm.storage.where import Expression, Where, expressions, order_by
from jsonrpc_tm.tools.testing.cast import PEOPLE

LINE = expressions(TRANSFORMATION_LOG, "l.")


@pytest.mark.parametrize(
    ("dialect", "date"),
    [
        (SQLITE, "(REPLACE(l.MessageDate, ' ', 'T') || 'Z')"),
        (MYSQL, "CONCAT(REPLACE(l.MessageDate, ' ', 'T'), 'Z')"),
    ],
)
def test_dates_are_texts_in_the_row_alone(dialect, date):
    where = Where(dialect)
    where.conditions(LINE, {"Author": "a"})
    where.bounds(LINE, None, "2024-10-15 00:00:00", "MessageDate")
    shown = {name: LINE[name] for name in ("MessageDate", "Message")}
    rows = Rows(shown, "TransformationLog l", where, order_by(LINE, ["TransformationID"], ["MessageDate:DESC"]))
    query = rows.query(dialect)
    assert query.sql == (
        f"SELECT {date} AS MessageDate, l.Message AS Message FROM TransformationLog l"
        " WHERE l.Author = :where0 AND l.MessageDate >= :where1 ORDER BY l.MessageDate DESC, l.TransformationID ASC"
    )
    assert query.parameters == {"where0": "a", "where1": "2024-10-15 00:00:00"}


def test_what_is_computed_has_a_name():
    rows = Rows({"N": Expression("COUNT(*)", "int")}, "TransformationLog", Where(SQLITE))
    assert rows.query(SQLITE).sql == "SELECT COUNT(*) AS N FROM TransformationLog WHERE 1=1"


async def test_a_list_is_streamed_as_it_is_read(tm):
    await tm.add()
    await tm("addFilesToTransformation", 1, [f"/{number}" for number in range(5)])
    context = tm.service.context(PEOPLE["manager"])
    parts = DomainParts(tm.service.settings, tm.policy)
    page = Page(condDict={"TransformationID": 1}, orderAttribute=["FileID:DESC"], limit=4)

    def described(tx):
        return reports.files(Work(tx, context, parts, "tests.stream"), page, ["LFN", "LastUpdate"])

    async def opened(tx):
        return None, described(tx).query(tx.dialect)

    async with tm.storage.storage.stream("tests.stream", opened, size=3) as (_, batches):
        streamed = [batch async for batch in batches]
    date = "2024-10-15T12:00:00Z"
    assert streamed == [[("/4", date), ("/3", date), ("/2", date)], [("/1", date)]]
