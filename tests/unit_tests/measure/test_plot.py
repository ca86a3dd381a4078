from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from safe_llm.errors import MissingExtra, MisuseError
from safe_llm.measure import plot
from tests.unit_tests.measure.samples import FAILED, LOADING, QUEUEING, QUIET, UNPROVEN, table

if TYPE_CHECKING:
    from pathlib import Path

    from safe_llm.measure.figures import Row


def drawn(row: Row) -> tuple[Any, Any]:
    """The two panels of a row."""
    figure = Figure()
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, squeeze=False)
    plot.draw([row], panels, 65_536)
    return tuple(panels[0])


def test_a_picture_is_written_for_rows_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "all.png"
    plot.save(table(QUEUEING, LOADING, QUIET, FAILED, UNPROVEN), str(path))
    height, width, _ = image.imread(path).shape
    assert (width, height) == (1200, 720)  # three rows whose pipe fills


def test_where_no_pipe_fills_the_picture_says_so_and_is_written(tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    plot.save(table(QUIET, FAILED), str(path))
    assert image.imread(path).shape[0] == 120
    assert (
        plot._caption(table(QUIET, FAILED), []) == "not drawn, as their pipe never fills: mcp INFO"
    )


def test_the_pipe_is_drawn_as_it_was_seen_and_the_freeze_where_it_was() -> None:
    left, _ = drawn(QUEUEING)
    seen, freeze, size = left.lines
    assert list(seen.get_xdata()) == [0, 0, 13, 26]
    assert list(seen.get_ydata()) == pytest.approx([0, 11_664 / 1024, *[64_213 / 1024] * 2])
    assert list(freeze.get_xdata()) == [26]
    assert set(size.get_ydata()) == {64}
    assert left.get_title("left") == "llama-server 4 tiny: frozen after 26 requests"


def test_the_throughput_falls_vertically_to_zero_at_the_last_answer() -> None:
    _, right = drawn(QUEUEING)
    (cliff,) = right.lines
    (x0, x1, x2), (y0, y1, y2) = cliff.get_xdata(), cliff.get_ydata()
    assert x0 == x1 == pytest.approx(2.6)
    assert y0 == pytest.approx(10)
    assert (x2, y1, y2) == (8.5, 0.0, 0.0)


def test_what_did_not_freeze_has_no_cliff() -> None:
    row = replace(QUEUEING, proof=QUIET.proof)
    left, right = drawn(row)
    assert (len(left.lines), len(right.lines)) == (2, 0)
    assert left.get_title("left") == "llama-server 4 tiny: not frozen in 1,043 requests"


def test_a_freeze_while_loading_is_said_in_words() -> None:
    left, right = drawn(LOADING)
    assert [text.get_text() for text in right.texts] == ["never ready"]
    assert left.get_xlim() == pytest.approx((0, 1.12))


def test_a_freeze_right_after_it_was_ready_can_be_drawn() -> None:
    assert QUEUEING.proof is not None
    at_once = replace(QUEUEING.proof, answered=0, answered_at=(), looks=((0, 0), (0, 64_213)))
    _, right = drawn(replace(QUEUEING, proof=at_once))
    assert list(right.lines[0].get_xdata()) == [0.0, 0.0, 8.5]


def test_without_a_proof_the_drained_run_is_drawn_dashed() -> None:
    left, right = drawn(UNPROVEN)
    assert left.lines[0].get_linestyle() == "--"
    assert right.patches[0].get_linestyle() == "--"
    assert plot._caption(table(UNPROVEN), [UNPROVEN]).startswith("dashed: drained")


def test_every_answer_counts_once_and_a_stretch_ends_with_one() -> None:
    edges, rates = plot.throughput([1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0])
    assert edges == [0.0, 5.0, 9.0]
    assert rates == [1.0, 0.5]


def test_many_answers_are_few_stretches() -> None:
    edges, rates = plot.throughput([number / 10 for number in range(1, 1001)])
    assert (len(rates), edges[-1]) == (40, 100.0)
    assert rates == pytest.approx([10.0] * 40)


def test_a_few_answers_are_one_stretch_and_none_is_none() -> None:
    assert plot.throughput([2.0]) == ([0.0, 2.0], [0.5])
    assert plot.throughput([]) == ([0.0], [])


def test_a_place_that_can_be_written_is_fine(tmp_path: Path) -> None:
    plot.check(str(tmp_path / "new.png"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"there is no folder '.*/none'"):
        plot.check(str(tmp_path / "none" / "new.png"))


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(MisuseError, match=r"taken\.png': it is a folder"):
        plot.check(str(tmp_path / "taken.png"))


def test_without_matplotlib_the_line_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as refused:
        plot.check("new.png")
    assert refused.value.hint == "pip install 'safe-llm[plot]'"
