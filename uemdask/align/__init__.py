"""Alignment kernels: bad pixels, drift, brightness, and frames brought onto the reference."""

from uemdask.align.breathing import Breathing, find_breathing
from uemdask.align.brightness import beam_fall, brightness, brightness_slope
from uemdask.align.correct import aligned_frames, aligned_ratio, even_out, required_halo
from uemdask.align.follow import OVERLAP, Piece, follow, join
from uemdask.align.frames import aligned, correct_frames
from uemdask.align.joint import LEAST_VOTES, Refined, refine_drift
from uemdask.align.lit import (
    DARK,
    SEEN,
    Noise,
    fill_hidden,
    find_shaded,
    find_unlit,
    hidden_now,
    lit_level,
    measure_noise,
    pixel_weight,
)
from uemdask.align.penumbra import Penumbra
from uemdask.align.pixels import (
    Repair,
    find_bad_pixels,
    find_hits,
    find_stuck_pixels,
    repair_pixels,
)
from uemdask.align.reference import average_frames
from uemdask.align.registration import FAILED, Drift, Registrar
from uemdask.align.repeats import SHIFT_TOLERANCE, Average, average_repeats
from uemdask.align.shift import KERNEL_RADIUS, sample_nearest, sample_shifted, sample_window
from uemdask.align.texture import local_contrast
from uemdask.align.time_zero import EARLY, EarlyFrames, Onset, first_change

__all__ = [
    "DARK",
    "EARLY",
    "FAILED",
    "KERNEL_RADIUS",
    "LEAST_VOTES",
    "OVERLAP",
    "SEEN",
    "SHIFT_TOLERANCE",
    "Average",
    "Breathing",
    "Drift",
    "EarlyFrames",
    "Noise",
    "Onset",
    "Penumbra",
    "Piece",
    "Refined",
    "Registrar",
    "Repair",
    "aligned",
    "aligned_frames",
    "aligned_ratio",
    "average_frames",
    "average_repeats",
    "beam_fall",
    "brightness",
    "brightness_slope",
    "correct_frames",
    "even_out",
    "fill_hidden",
    "find_bad_pixels",
    "find_breathing",
    "find_hits",
    "find_shaded",
    "find_stuck_pixels",
    "find_unlit",
    "first_change",
    "follow",
    "hidden_now",
    "join",
    "lit_level",
    "local_contrast",
    "measure_noise",
    "pixel_weight",
    "refine_drift",
    "repair_pixels",
    "required_halo",
    "sample_nearest",
    "sample_shifted",
    "sample_window",
]
