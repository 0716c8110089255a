"""Errors and valid shares by the strength of the wave, on fields whose answers are known."""

import numpy as np
import pytest

from uemdask.evaluate.strength import strength_facts, wave_there
from uemdask.simulate import Truth

SHAPE = (32, 40)


def truth(strength=None, lit=None):
    flow = np.zeros((3, 2, *SHAPE), np.float32)
    flow[:, 0] = 4.0
    if strength is None:
        strength = np.zeros((4, *SHAPE), np.float16)
        strength[2:, :, :20] = 1.0
        strength[1, :, :20] = 0.26
    return Truth(
        flow=flow,
        mask=np.ones(SHAPE, bool),
        present=np.ones(3, bool),
        strength=strength,
        lit=np.ones(SHAPE, bool) if lit is None else lit,
        drift=np.zeros((4, 2)),
        gain=np.ones(4),
        mode="travelling",
        delays=np.arange(4.0),
        pixel_nm=np.array([3.0, 3.0]),
    )


class KnownRun:
    """Stands for a run: labels right, flow 10 % too long, all valid."""

    pixel_size = (3.0, 3.0)

    def __init__(self, known):
        self.group = {
            "label": known.flow.copy(),
            "flow": known.flow * 1.1,
            "valid": np.ones((3, *SHAPE), bool),
        }

    def __contains__(self, name):
        return name in self.group


def test_errors_are_of_where_the_wave_is_strong_in_both_frames():
    known = truth()
    run = KnownRun(known)
    run.group["label"][:2] = 0  # the wave is strong in the last pair alone
    facts = strength_facts(run, known, np.arange(3))
    assert facts["error of the label where the wave is strong"] == 0
    assert facts["error of the flow where the wave is strong"] == pytest.approx(0.1, rel=1e-3)
    run.group["flow"][2] = np.nan  # counts as no motion
    facts = strength_facts(run, known, np.arange(3))
    assert facts["error of the flow where the wave is strong"] == pytest.approx(1.0)


def test_valid_shares_where_there_is_a_wave_and_where_there_is_none():
    known = truth()
    run = KnownRun(known)
    run.group["valid"][:, :, 20:] = False
    run.group["valid"][2, :16, :20] = False
    facts = strength_facts(run, known, np.arange(3))
    assert facts["valid share where the wave is strong"] == 0.5
    assert facts["valid share where there is no wave"] == 0.0
    run.group["valid"][0, :, 20:] = True  # a third of the pixels without a wave
    facts = strength_facts(run, known, np.arange(3))
    assert facts["valid share where there is no wave"] == pytest.approx(1 / 3)


def test_unlit_pixels_and_their_surroundings_have_no_say_in_errors():
    lit = np.ones(SHAPE, bool)
    lit[:, :2] = False
    known = truth(lit=lit)
    run = KnownRun(known)
    run.group["label"][:, :, :, :10] = 99.0
    facts = strength_facts(run, known, np.arange(3))
    assert facts["error of the label where the wave is strong"] == 0
    assert facts["valid share of unlit pixels"] == 1.0
    there = wave_there(known, np.arange(3))
    assert not there[:, :, :10].any()
    assert there[2, :, 10:20].all()


def test_the_wave_is_there_from_a_quarter_of_each_pixels_own_peak():
    known = truth()
    there = wave_there(known, np.arange(3))
    assert not there[0, :, :20].any()
    assert there[1:, :, :20].all()


def test_a_truth_without_strengths_says_nothing_of_them():
    known = truth(strength=np.full((4, *SHAPE), np.nan, np.float16))
    assert wave_there(known, np.arange(3)).all()
    facts = strength_facts(KnownRun(known), known, np.arange(3))
    assert list(facts) == ["error of the flow where it is valid"]
