from __future__ import annotations

import pytest

from tests.benchmarks.figures import Figure, Target, at_least, at_most
from tests.benchmarks.report import number, table


@pytest.mark.parametrize(
    ("target", "holds"),
    [
        (at_most(2.0), True),
        (at_most(1.9), False),
        (at_least(2.0), True),
        (at_least(2.1), False),
        (at_most(4.0, "ours"), True),
        (at_most(3.9, "ours"), False),
        (at_most(2.0, "excess"), True),
        (at_most(1.9, "excess"), False),
        (None, None),
    ],
)
def test_a_target_bounds_the_figure_its_ratio_or_what_exceeds_the_reference(
    target: Target | None, holds: bool | None
) -> None:
    assert Figure(what="x", unit="s", ours=4.0, reference=2.0, target=target).holds is holds


def test_nothing_is_claimed_about_a_ratio_without_a_reference() -> None:
    figure = Figure(what="x", unit="s", ours=4.0, target=at_most(1.0))
    assert (figure.ratio, figure.holds) == (None, None)


def test_the_table_shows_both_figures_their_ratio_the_target_and_the_verdict() -> None:
    rows = [
        Figure(
            what="fast", unit="s", ours=1, reference=2, beside="bare", target=at_most(1)
        ).as_json(),
        Figure(what="slow", unit="", ours=7, target=at_most(4, "ours"), note="busy").as_json(),
    ]
    assert table(rows) == [
        "what  ours  reference   ratio  target      holds",
        "----  ----  ----------  -----  ----------  -----",
        "fast  1 s   2 s (bare)  0.5    ratio <= 1  yes",
        "slow  7                        ours <= 4   NO",
        "  slow: busy",
    ]


def test_a_number_has_three_digits_and_never_an_exponent_from_a_thousand_on() -> None:
    assert [number(one, "x") for one in (0.01234, 12.345, 123456.0, None)] == [
        "0.0123 x",
        "12.3 x",
        "123456 x",
        "",
    ]
