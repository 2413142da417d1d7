"""How fast it asks: never more than the limit, and no more than the service serves."""

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.detect.quota import account_tps
from toolkit.detect.rate import Learned, Rate
from toolkit.service.faults import Fault
from toolkit.service.limits import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _asked_in(rate: Rate, clock: Clock, seconds: float, allowed: float) -> int:
    """Requests of one client that asks whenever it may, to a service that serves so many a second."""
    asked, end, throttle = 0, clock.now + seconds, Throttle(allowed, clock)
    while clock.now < end:
        clock.now += rate.take() or 0.0001
        asked += 1
        _ask(throttle, rate)
    return asked


def _ask(throttle: Throttle, rate: Rate) -> None:
    """One request, after which the client knows whether it was served."""
    try:
        throttle.admit("")
        rate.served()
    except Fault:
        rate.refused()


@given(st.floats(1, 200), st.lists(st.floats(0, 0.3), min_size=50, max_size=50))
def test_never_more_than_the_limit_whatever_the_pauses(limit: float, pauses: list[float]) -> None:
    clock = Clock()
    rate = Rate(limit, clock=clock)
    times = []
    for pause in pauses:
        clock.now += rate.take()
        times.append(clock.now)
        rate.served()
        clock.now += pause
    burst = max(1.0, 0.1 * limit) + 1
    for first in range(0, len(times), 7):
        for last in range(first, len(times)):
            assert last - first + 1 <= (times[last] - times[first]) * limit * 1.0001 + burst + 1


def test_the_rate_falls_to_what_is_served_and_comes_back() -> None:
    clock = Clock()
    rate = Rate(100, clock=clock)
    _asked_in(rate, clock, 10, allowed=20)
    assert 15 <= (rate.per_second or 0) <= 30
    _asked_in(rate, clock, 60, allowed=1e9)
    assert rate.per_second == 100


def test_a_slow_rate_grows_again_without_waiting_for_many_answers() -> None:
    clock = Clock()
    rate = Rate(20, Learned(1), clock)
    _asked_in(rate, clock, 60, allowed=1e9)
    assert (rate.per_second or 0) > 10


def test_a_limit_below_one_a_second_is_never_exceeded() -> None:
    clock = Clock()
    rate = Rate(0.5, clock=clock)
    asked = _asked_in(rate, clock, 600, allowed=0.1)
    assert rate.per_second == 0.5
    assert asked <= 0.5 * 600 * 1.05


def test_no_more_than_the_limit_is_asked_of_a_service_that_serves_less() -> None:
    clock = Clock()
    assert _asked_in(Rate(50, clock=clock), clock, 3, allowed=10) <= 50 * 3 * 1.1


def test_what_one_batch_learned_the_next_one_knows() -> None:
    clock = Clock()
    throttle, learned, asked = Throttle(2, clock), Learned(5), 0
    for _ in range(20):
        rate = Rate(5, learned, clock)
        for _ in range(7):  # too few to learn from
            clock.now += rate.take()
            asked += 1
            _ask(throttle, rate)
        learned = rate.learned
        assert asked <= 5 * clock.now * 1.2 + 2
    assert 1 <= (learned.per_second or 0) <= 3


def test_tokens_that_nobody_waited_for_are_not_the_next_batch_s_debt() -> None:
    clock = Clock()
    rate = Rate(5, clock=clock)
    for _ in range(50):
        rate.take()  # by threads that are then stopped
    assert rate.learned.wait <= 1 / 5


def test_without_a_limit_it_finds_the_services() -> None:
    clock = Clock()
    rate = Rate(None, clock=clock)
    _asked_in(rate, clock, 20, allowed=50)
    assert 40 <= (rate.per_second or 0) <= 80


def test_single_refusals_do_not_slow_it_down() -> None:
    clock = Clock()
    rate = Rate(50, clock=clock)
    for number in range(1000):
        clock.now += rate.take()
        rate.refused() if number % 10 == 0 else rate.served()
    assert rate.per_second == 50
    assert clock.now == pytest.approx(1000 * 0.9 / 50, rel=0.05)  # what was refused is given back


def test_the_accounts_limit_is_read_from_service_quotas(endpoint, monkeypatch) -> None:
    session = tk.connect("http://example.invalid", region_name="eu-west-1")
    client = session.client("service-quotas")
    quotas = [
        {"QuotaName": "Transactions per second per account for the Amazon Rekognition Image operation DetectFaces"},
        {
            "QuotaName": "Transactions per second per account for the Amazon Rekognition Image operation "
            "DetectModerationLabels",
            "Value": 25.0,
        },
    ]
    with Stubber(client) as stub:
        stub.add_response("list_service_quotas", {"Quotas": quotas}, {"ServiceCode": "rekognition"})
        monkeypatch.setattr(session, "client", lambda _: client)
        assert account_tps(session) == 25
    assert account_tps(tk.connect(endpoint)) is None
