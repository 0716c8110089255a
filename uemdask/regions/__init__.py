"""Regions of interest, the feature vector of each, and the kind of motion in it."""

from uemdask.regions.features import FEATURES, Feature, finalise
from uemdask.regions.fronts import FRONT_HALO, FrontSums, away_from_rims, front_sums
from uemdask.regions.headline import Headline, headlines
from uemdask.regions.mode_classifier import (
    MODES,
    classify_mode,
    roi_numbers,
    uniform_share,
)
from uemdask.regions.outlines import mask_outline, outline
from uemdask.regions.rasterising import rasterise, to_nm
from uemdask.regions.roi import DEFAULT_ROI, Rectangle, Roi, parse_rois, read_rois
from uemdask.regions.roi_sums import RoiSums

__all__ = [
    "DEFAULT_ROI",
    "FEATURES",
    "FRONT_HALO",
    "MODES",
    "Feature",
    "FrontSums",
    "Headline",
    "Rectangle",
    "Roi",
    "RoiSums",
    "away_from_rims",
    "classify_mode",
    "finalise",
    "front_sums",
    "headlines",
    "mask_outline",
    "outline",
    "parse_rois",
    "rasterise",
    "read_rois",
    "roi_numbers",
    "to_nm",
    "uniform_share",
]
