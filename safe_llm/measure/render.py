"""A measurement as text, JSON and CSV. Pure: prints nothing, writes no file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from safe_llm.measure.columns import aligned
from safe_llm.measure.prompts import MAX_TOKENS
from safe_llm.measure.subject import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safe_llm.measure.figures import Proof, Row, Table
    from safe_llm.measure.subject import StreamName

_NOTHING, _LOADING = "-", "loading"


class Column(NamedTuple):
    """A column of the text: two lines of heading, and what stands in a row."""

    above: str
    heading: str
    cell: Callable[[Row], str]


def _bytes_of(name: StreamName, figure: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        if row.drained is None:
            return _NOTHING
        stream = row.drained.streams.get(name)
        return "protocol" if stream is None else f"{getattr(stream, figure):,.0f}"

    return cell


def _capacity(row: Row) -> str:
    full = row.first_to_fill
    return _NOTHING if full is None else f"{full.capacity_bytes:,}"


def _full_after(row: Row) -> str:
    if row.drained is None:
        return _NOTHING
    full = row.first_to_fill
    if full is None:
        return "never"
    return _LOADING if full.is_full_at_start else f"{full.requests_until_full:,}"


def _frozen_after(row: Row) -> str:
    if row.proof is None:
        return _NOTHING
    if not row.proof.frozen:
        return f">{row.proof.answered:,}"
    return _LOADING if row.proof.ready_at is None else f"{row.proof.answered:,}"


_MODEL = Column("", "model", lambda row: row.model or _NOTHING)
_LABELS = (
    Column("", "engine", lambda row: row.engine),
    Column("", "verbosity", lambda row: row.verbosity),
)
_FIGURES = (
    Column("start", "stdout", _bytes_of("stdout", "start_bytes")),
    Column("start", "stderr", _bytes_of("stderr", "start_bytes")),
    Column("request", "stdout", _bytes_of("stdout", "request_bytes")),
    Column("request", "stderr", _bytes_of("stderr", "request_bytes")),
    Column("pipe", "takes", _capacity),
    Column("until", "full", _full_after),
    Column("until", "frozen", _frozen_after),
    Column("quoted", "request", lambda row: row.quoted.request or _NOTHING),
    Column("quoted", "until full", lambda row: row.quoted.requests_until_full or _NOTHING),
)


def text(table: Table) -> list[str]:
    """Return the table, what was seen of each freeze, and what the figures stand on."""
    return [*rows_of(table), "", *_remarks(table), *_footer(table)]


def rows_of(table: Table) -> list[str]:
    """Return the table alone. A model that they have in common is not said in each row."""
    labels = (*_LABELS, _MODEL) if len(_models(table)) > 1 else _LABELS
    columns = (*labels, *_FIGURES)
    heading = [[column.above for column in columns], [column.heading for column in columns]]
    cells = [[column.cell(row) for column in columns] for row in table.rows]
    return list(aligned([*heading, *cells], right=range(len(labels), len(columns))))


def _models(table: Table) -> list[str]:
    return list(dict.fromkeys(row.model for row in table.rows if row.model))


def _remarks(table: Table) -> Iterator[str]:
    for row in table.rows:
        remark = remark_on(row)
        if remark:
            yield f"{row.name}: {remark}"


def remark_on(row: Row) -> str:
    """Return in one line how the row ended, where it did not end as planned."""
    proof = row.proof
    if proof is None or not (proof.frozen or proof.reason):
        return row.failure
    if not proof.frozen:
        return f"unread, no answer any more after {_requests(proof.answered)}: {proof.reason}"
    reason = proof.reason or "unknown why"
    return f"{frozen_when(proof)}, {proof.unread_bytes:,} bytes unread: {reason}"


def frozen_when(proof: Proof) -> str:
    """Return when it froze, in a few words."""
    when = "while loading" if proof.ready_at is None else f"after {_requests(proof.answered)}"
    return f"frozen {when}"


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"


def _footer(table: Table) -> Iterator[str]:
    models = _models(table)
    if len(models) == 1:
        yield f"model: {models[0]}"
    yield (
        f"start, request: bytes of log, drained; medians of {_requests(table.requests)} of"
        f" {MAX_TOKENS} tokens (MCP: one call each)"
    )
    named = "" if table.pipe_bytes is None else f" (by name {table.pipe_bytes:,} bytes)"
    yield f"pipe takes: bytes in writes of these sizes, on {table.system}{named}"
    yield "until: requests that are answered while nobody reads the pipe; >: and still at it"
    if any(map(_froze_later, table.rows)):
        yield "frozen later than full: the engine answers until its own queue of lines is full too"
    yield "quoted: what is widely quoted, not measured here"


def _froze_later(row: Row) -> bool:
    full, proof = row.first_to_fill, row.proof
    if full is None or proof is None or not proof.frozen:
        return False
    return proof.answered > (full.requests_until_full or 0)


def as_json(table: Table) -> str:
    """Return everything that was measured, as JSON."""
    return json.dumps(table.as_json(), indent=2)


def as_csv(table: Table) -> str:
    """Return a line of figures for each row, and one of their names. Empty: nothing to be said."""
    file = io.StringIO()
    flat = [_flat(row) for row in table.rows]
    writer = csv.DictWriter(file, fieldnames=list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    full, proof = row.first_to_fill, row.proof
    streams = {} if row.drained is None else row.drained.streams
    return {
        "engine": row.engine,
        "verbosity": row.verbosity,
        "setting": row.setting,
        "model": row.model,
        **{f"start_{one}_bytes": getattr(streams.get(one), "start_bytes", None) for one in STREAMS},
        **{
            f"request_{one}_bytes": getattr(streams.get(one), "request_bytes", None)
            for one in STREAMS
        },
        "pipe_takes_bytes": None if full is None else full.capacity_bytes,
        "requests_until_full": None if full is None else full.requests_until_full,
        "frozen": None if proof is None else proof.frozen,
        "frozen_while_loading": None if proof is None else proof.frozen and proof.ready_at is None,
        "answered_unread": None if proof is None else proof.answered,
        "unread_bytes": None if proof is None else proof.unread_bytes,
        "quoted_request": row.quoted.request,
        "quoted_requests_until_full": row.quoted.requests_until_full,
        "remark": remark_on(row),
    }
