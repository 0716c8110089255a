"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import RawAcquisition, inspect_raw
from uemdask.readers.images import ImageInfo, describe_image, read_image, read_images

__all__ = [
    "ImageInfo",
    "RawAcquisition",
    "describe_image",
    "inspect_raw",
    "read_image",
    "read_images",
]
