"""Alignment kernels: bad pixels, drift, brightness, and frames brought onto the reference."""

from uemdask.align.brightness import brightness
from uemdask.align.correct import aligned_frames, aligned_ratio, required_halo
from uemdask.align.pixels import find_bad_pixels, repair_pixels
from uemdask.align.reference import Reference, build_reference
from uemdask.align.registration import FAILED, Drift, Registrar
from uemdask.align.repeats import SHIFT_TOLERANCE, Average, average_repeats
from uemdask.align.shift import KERNEL_RADIUS, sample_shifted, sample_window

__all__ = [
    "FAILED",
    "KERNEL_RADIUS",
    "SHIFT_TOLERANCE",
    "Average",
    "Drift",
    "Reference",
    "Registrar",
    "aligned_frames",
    "aligned_ratio",
    "average_repeats",
    "brightness",
    "build_reference",
    "find_bad_pixels",
    "repair_pixels",
    "required_halo",
    "sample_shifted",
    "sample_window",
]
