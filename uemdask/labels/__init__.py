"""Pseudo-ground-truth displacement of wave fronts between frames, with a confidence per pixel.

`grey` scales a run to 8 bit, `optical_flow` calls OpenCV, `normal` keeps the part of the
displacement that a wavefront defines, `refinement` improves it, `pairs` makes labels for frame
pairs, `confidence` says how far to trust them, `combination` merges several estimates, `estimates`
is the label of a pair by all of them, `base` compares with the base image.

Convention of every flow in this package: components ``[x, y]`` in px, y downwards, and
``first(r) = second(r + flow(r))``.
"""

from uemdask.labels.base_image import base_label, base_range
from uemdask.labels.combination import combine_labels
from uemdask.labels.confidence import label_confidence
from uemdask.labels.estimator import LabelEstimator, Method
from uemdask.labels.grey import grey_scale, to_grey
from uemdask.labels.normal import project_on_normal, wave_normal
from uemdask.labels.optical_flow import FlowEstimator
from uemdask.labels.pair_labels import label_pairs
from uemdask.labels.refinement import refine_along_normal
from uemdask.labels.remapping import leaves_image, remap

__all__ = [
    "FlowEstimator",
    "LabelEstimator",
    "Method",
    "base_label",
    "base_range",
    "combine_labels",
    "grey_scale",
    "label_confidence",
    "label_pairs",
    "leaves_image",
    "project_on_normal",
    "refine_along_normal",
    "remap",
    "to_grey",
    "wave_normal",
]
