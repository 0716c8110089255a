"""Alignment kernels: bad pixels, drift, brightness, and frames brought onto the reference."""

from uemdask.align.bad_pixels import (
    PixelRepair,
    find_bad_pixels,
    find_hits,
    find_stuck_pixels,
    repair_pixels,
)
from uemdask.align.breathing import Breathing, find_breathing
from uemdask.align.brightness import beam_fall, brightness, brightness_slope
from uemdask.align.correct import aligned_frames, aligned_ratio, even_out, required_halo
from uemdask.align.frame_average import average_frames
from uemdask.align.frames import aligned, correct_frames
from uemdask.align.groupwise import LEAST_VOTES, RefinedDrift, refine_drift
from uemdask.align.illumination import (
    DARK,
    SEEN,
    CountingNoise,
    fill_hidden,
    find_shaded,
    find_unlit,
    hidden_now,
    lit_level,
    measure_counting_noise,
    pixel_weight,
)
from uemdask.align.patch_spectra import local_contrast
from uemdask.align.penumbra import Penumbra
from uemdask.align.registration import FAILED, Drift, Registrar
from uemdask.align.repeats import SHIFT_TOLERANCE, Average, average_repeats
from uemdask.align.sequential import OVERLAP, Piece, join_pieces, register_sequentially
from uemdask.align.shift import KERNEL_RADIUS, sample_nearest, sample_shifted, sample_window
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
    "CountingNoise",
    "Drift",
    "EarlyFrames",
    "Onset",
    "Penumbra",
    "Piece",
    "PixelRepair",
    "RefinedDrift",
    "Registrar",
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
    "hidden_now",
    "join_pieces",
    "lit_level",
    "local_contrast",
    "measure_counting_noise",
    "pixel_weight",
    "refine_drift",
    "register_sequentially",
    "repair_pixels",
    "required_halo",
    "sample_nearest",
    "sample_shifted",
    "sample_window",
]
