"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import RawAcquisition, inspect_raw
from uemdask.readers.drift import DriftTable, match_drift, read_drift_table
from uemdask.readers.images import describe_image, is_image, read_image, read_images
from uemdask.readers.info import ImageInfo, Reader

__all__ = [
    "DriftTable",
    "ImageInfo",
    "RawAcquisition",
    "Reader",
    "describe_image",
    "inspect_raw",
    "is_image",
    "match_drift",
    "read_drift_table",
    "read_image",
    "read_images",
]
