from __future__ import annotations

from safe_llm.measure.columns import aligned


def test_cells_stand_below_each_other_and_lines_end_where_their_text_does() -> None:
    rows = [("engine", "bytes", "why"), ("mcp", "7", ""), ("llama-server", "1,024", "full")]
    assert list(aligned(rows, right=[1])) == [
        "engine        bytes  why",
        "mcp               7",
        "llama-server  1,024  full",
    ]
