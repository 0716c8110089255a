"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import (
    RawAcquisition,
    inspect_raw,
    name_from,
    raw_folder,
    relative_name,
)
from uemdask.readers.drift_table import DriftTable, match_drift, read_drift_table
from uemdask.readers.frame_matching import RawImage
from uemdask.readers.images import describe_image, is_image, read_image, read_images
from uemdask.readers.info import ImageInfo, Reader
from uemdask.readers.raw_settings import RawSettings

__all__ = [
    "DriftTable",
    "ImageInfo",
    "RawAcquisition",
    "RawImage",
    "RawSettings",
    "Reader",
    "describe_image",
    "inspect_raw",
    "is_image",
    "match_drift",
    "name_from",
    "raw_folder",
    "read_drift_table",
    "read_image",
    "read_images",
    "relative_name",
]
