"""Regions of interest, the feature vector of each, and the kind of motion in it."""

from uemdask.regions.features import FEATURES, Feature, finalise, roi_features
from uemdask.regions.modes import MODES, classify_mode, roi_numbers
from uemdask.regions.outlines import mask_outline, outline
from uemdask.regions.rasterising import rasterise, to_nm
from uemdask.regions.roi import DEFAULT_ROI, Rectangle, Roi, parse_rois, read_rois
from uemdask.regions.sums import RoiSums

__all__ = [
    "DEFAULT_ROI",
    "FEATURES",
    "MODES",
    "Feature",
    "Rectangle",
    "Roi",
    "RoiSums",
    "classify_mode",
    "finalise",
    "mask_outline",
    "outline",
    "parse_rois",
    "rasterise",
    "read_rois",
    "roi_features",
    "roi_numbers",
    "to_nm",
]
