"""A token bucket: a burst at once, then so many per second."""

from fmdj_cloud.control.kube.throttle import TokenBucket


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def bucket(rate: float, burst: int) -> tuple[TokenBucket, Time]:
    time = Time()
    return TokenBucket(rate, burst, clock=time, sleep=time.sleep), time


def test_a_burst_goes_at_once_and_the_rest_at_the_rate():
    tokens, time = bucket(rate=10, burst=5)
    for _ in range(5):
        tokens.take()
    assert time.now == 0.0
    for _ in range(20):
        tokens.take()
    assert round(time.now, 6) == 2.0


def test_a_quiet_time_gives_the_burst_back_and_no_more():
    tokens, time = bucket(rate=10, burst=5)
    for _ in range(5):
        tokens.take()
    time.now += 3600
    before = time.now
    for _ in range(5):
        tokens.take()
    assert time.now == before
    tokens.take()
    assert round(time.now - before, 6) == 0.1


def test_those_who_wait_at_the_same_time_wait_one_after_the_other():
    now, waits = [0.0], []
    tokens = TokenBucket(2, 1, clock=lambda: now[0], sleep=waits.append)
    for _ in range(4):
        tokens.take()
    assert waits == [0.5, 1.0, 1.5]
