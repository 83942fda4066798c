"""The attacks of `make attack`: they aim at this machine alone, there is one for each kind, and a verdict is what it says."""

import pytest
from benchmarks.attacks.attack import KINDS, Beside, Bounds, attacks
from benchmarks.attacks.target import Target
from benchmarks.attacks.trial import Trial, judge


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "0.0.0.0", "::", "10.0.0.1"])
def test_an_attacker_aims_at_no_other_machine(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        Target(host=host, port=1, webhook_port=2, internal_port=3)


def test_there_is_an_attack_of_each_kind_and_each_says_what_must_hold() -> None:
    known = attacks()
    assert {each.kind for each in known.values()} == set(KINDS)
    assert all(each.does and each.holds for each in known.values())
    assert sum(isinstance(each, Beside) for each in known.values()) > 30


def trial(*, beside_ms: float = 100.0) -> Trial:
    made = Trial("some", "own", attacker={"sent": 1})
    made.quiet_ms = {"p50": 60.0, "p99": 80.0, "max": 90.0}
    made.beside_ms = {"p50": beside_ms, "p99": beside_ms, "max": beside_ms}
    made.gateway_mb = {"before": 100.0, "after": 110.0}
    made.store_mb = {"before": 2.0, "after": 3.0}
    return made


def test_an_attack_holds_when_turns_take_no_more_than_twice_as_long() -> None:
    held, slow = trial(beside_ms=115.0), trial(beside_ms=150.0)
    judge(held, Bounds())
    judge(slow, Bounds())
    assert held.holds and held.ratio == {"p50": 1.92, "p99": 1.44}
    assert slow.problems == ["turn p50 2.5 times"]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("lost", 1, "1 lost"),
        ("refused", 2, "2 refused"),
        ("reconnected", 1, "1 reconnected"),
        ("evicted", 7, "7 evicted"),
        ("newcomers_refused", {"TimeoutError": 3}, "3 newcomers refused"),
        ("gateway_mb", {"before": 100.0, "after": 300.0}, "the gateway keeps 200 MB"),
        ("recovered_s", 30.0, "not as before 30 s after the attack"),
        ("attacker", {}, "the attack itself did nothing"),
    ],
)
def test_what_is_lost_refused_or_kept_is_a_problem(field: str, value: object, problem: str) -> None:
    made = trial()
    setattr(made, field, value)
    judge(made, Bounds())
    assert made.problems == [problem]
