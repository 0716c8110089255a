"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import (
    RawAcquisition,
    inspect_raw,
    name_from,
    raw_folder,
    relative_name,
)
from uemdask.readers.drift import DriftTable, match_drift, read_drift_table
from uemdask.readers.images import describe_image, is_image, read_image, read_images
from uemdask.readers.info import ImageInfo, Reader
from uemdask.readers.pairing import RawImage
from uemdask.readers.settings import RawSettings

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
