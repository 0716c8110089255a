"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import RawAcquisition, inspect_raw
from uemdask.readers.drift import DriftTable, match_drift, read_drift_table
from uemdask.readers.images import ImageInfo, describe_image, read_image, read_images

__all__ = [
    "DriftTable",
    "ImageInfo",
    "RawAcquisition",
    "describe_image",
    "inspect_raw",
    "match_drift",
    "read_drift_table",
    "read_image",
    "read_images",
]
