"""Numbers as a person says them."""

import pytest

from uemdask.monitor.formatting import count, duration, share, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0.0, "0 s"), (0.25, "0.2 s"), (12.4, "12 s"), (130, "2 min"), (9000, "2.5 h"),
        (400_000, "4.6 days"),
    ],
)  # fmt: skip
def test_times(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (7, "7 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes(number, text):
    assert size(number) == text


def test_numbers_have_thin_spaces():
    assert [count(n) for n in (0.0171, 12.0, 1234.0)] == ["0.0171", "12", "1\u202f234"]


def test_a_share_is_all_only_when_it_is_all():
    assert [share(v) for v in (0.004, 0.999, 1.0)] == ["0 %", "99 %", "100 %"]
