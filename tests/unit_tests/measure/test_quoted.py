from __future__ import annotations

from safe_llm.measure.quoted import _QUOTED, NOTHING_QUOTED, quoted
from safe_llm.measure.subject import VERBOSITIES


def test_what_is_quoted_belongs_to_verbosities_that_are_measured() -> None:
    assert all(verbosity in VERBOSITIES[engine] for engine, verbosity in _QUOTED)


def test_where_nothing_is_quoted_nothing_is_made_up() -> None:
    assert quoted("llama-server", "off") is quoted("anything", "as given") is NOTHING_QUOTED
