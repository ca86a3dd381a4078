"""The page about engines shows what the command prints, for all that it can measure.

Figures are not compared: they are of the machine on which ``tests/measured_page.py`` was run.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from safe_llm.engines.choice import KINDS
from safe_llm.measure.figures import Row, Table
from safe_llm.measure.render import text
from safe_llm.measure.subject import LLAMA_CPP, LLAMA_SERVER, MCP, VERBOSITIES
from tests.measured_page import BLOCK, MODELS, PAGE

TEXT = PAGE.read_text("utf-8")
BLOCKS = [(block["arguments"], block["output"].splitlines()) for block in BLOCK.finditer(TEXT)]


def rows(engine: str) -> set[tuple[str, ...]]:
    """What the rows of an engine are called, on the whole page."""
    lines = [line.split() for _, output in BLOCKS for line in output]
    return {(first, *labels) for first, *labels in filter(None, lines) if first == engine}


@pytest.mark.parametrize("engine", [LLAMA_SERVER, MCP])
def test_each_verbosity_has_its_row(engine: str) -> None:
    assert {row[1] for row in rows(engine)} >= set(VERBOSITIES[engine])


def test_the_library_has_a_row_for_each_number_of_layers() -> None:
    models = [name.removesuffix(".gguf") for name in MODELS]
    wanted = set(product(VERBOSITIES[LLAMA_CPP], models))
    assert {row[1:3] for row in rows(LLAMA_CPP)} >= wanted


@pytest.mark.parametrize(("arguments", "output"), BLOCKS, ids=[one for one, _ in BLOCKS])
def test_a_table_has_the_columns_that_the_command_prints_today(
    arguments: str, output: list[str]
) -> None:
    models = {row.split()[2] for row in output[2:] if row.startswith(LLAMA_CPP)}
    several = "--model" in arguments and len(models) > 1
    measured = [
        Row(engine="e", verbosity="v", setting="", model=model)
        for model in (("one", "other") if several else ("one",))
    ]
    today = text(Table(system="s", pipe_bytes=1, requests=2, rows=tuple(measured)))
    assert [re.split(r"\s+", one) for one in output[:2]] == [
        re.split(r"\s+", one) for one in today[:2]
    ]


def test_every_kind_of_engine_has_a_chapter() -> None:
    assert [kind for kind in KINDS if f"\n## {kind}\n" not in TEXT] == []
