from __future__ import annotations

import math
import pickle
import signal
from dataclasses import FrozenInstanceError, fields

import pytest

from safe_llm.errors import MisuseError
from safe_llm.limits import NO_LIMITS, KiB, Limits, MiB, StopPolicy, StopStep

NUMBERS = [
    one.name for one in fields(Limits) if one.name != "flood_action"
]  # whatever is added later is checked, too


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan])
def test_a_limit_that_is_no_finite_non_negative_number_is_refused(name: str, value: float) -> None:
    with pytest.raises(MisuseError) as caught:
        NO_LIMITS.with_changes(**{name: value})
    assert f"limit {name}={value!r} is not a non-negative, finite number" in str(caught.value)


def test_the_hint_says_how_to_switch_a_limit_off_where_that_is_possible() -> None:
    with pytest.raises(MisuseError) as optional:
        Limits(total=-1)
    assert optional.value.hint == "total=None switches this limit off"
    with pytest.raises(MisuseError) as required:
        Limits(release=-1)
    assert required.value.hint == ""


def test_zero_is_a_limit() -> None:
    assert Limits(total=0).total == 0


@pytest.mark.parametrize("name", NUMBERS)
def test_with_changes_changes_one_field_of_a_new_object(name: str) -> None:
    before = Limits()
    after = before.with_changes(**{name: 1})
    assert getattr(after, name) == 1
    assert after.with_changes(**{name: getattr(before, name)}) == before


def test_with_changes_refuses_what_the_constructor_refuses() -> None:
    with pytest.raises(MisuseError):
        Limits().with_changes(gap=-1)


def test_limits_and_policies_are_values() -> None:
    assert Limits() == Limits()
    assert hash(Limits(total=1)) == hash(Limits(total=1))
    assert pickle.loads(pickle.dumps(Limits(total=1))) == Limits(total=1)
    assert pickle.loads(pickle.dumps(StopPolicy())) == StopPolicy()
    with pytest.raises(FrozenInstanceError):
        Limits().total = 1  # type: ignore[misc]


def test_no_limits_switches_every_layer_off() -> None:
    off = {one.name for one in fields(Limits) if getattr(NO_LIMITS, one.name) is None}
    optional = {one.name for one in fields(Limits) if "None" in str(one.type)}
    assert off == optional


def test_a_call_ends_before_the_layer_that_would_cost_the_process_its_life() -> None:
    limits = Limits()
    assert limits.total is not None
    assert limits.job is not None
    assert limits.total <= limits.job


def test_the_defaults_bound_lines_messages_and_floods() -> None:
    limits = Limits()
    assert limits.max_line_bytes == 4 * MiB
    assert limits.max_message_bytes == 64 * MiB
    assert limits.flood_bytes == 10 * MiB
    assert MiB == 1024 * KiB == 1_048_576


def test_the_default_stop_policy_is_gentle_first_and_ends_with_sigkill() -> None:
    policy = StopPolicy()
    assert [step.action for step in policy.steps] == ["close_stdin", signal.SIGTERM, signal.SIGKILL]
    assert all(step.grace > 0 for step in policy.steps)


def test_the_longest_stop_is_the_sum_of_its_graces() -> None:
    policy = StopPolicy(steps=(StopStep("close_stdin", 1.0), StopStep(9, 2.0)), pipe_grace=0.5)
    assert policy.longest == 3.5
