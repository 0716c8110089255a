"""Pairs whose motion nobody can tell have no valid pixel, whatever the flow says."""

import numpy as np

from uemdask.motion.valid_flow import measurable_pairs

#: Fine and then coarse delays: 0.09 and 0.9 periods.
DELAYS = np.array([-10.0, -5.0, 0.0, 5.0, 10.0, 60.0, 110.0])
CENTRE = 18.0


def test_not_before_time_zero_and_not_over_too_many_periods():
    pairs = np.array([(i, i + 1) for i in range(6)])
    told = measurable_pairs(DELAYS, pairs, CENTRE, 0.4)
    assert told.tolist() == [False, False, True, True, False, False]


def test_the_limit_is_a_parameter():
    pairs = np.array([(2, 3), (2, 4)])  # 0.09 and 0.18 periods
    assert measurable_pairs(DELAYS, pairs, CENTRE, 0.1).tolist() == [True, False]
