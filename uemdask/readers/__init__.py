"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import (
    RawAcquisition,
    inspect_raw,
    raw_folder,
    relative_name,
)
from uemdask.readers.images import ImageInfo, describe_image, read_image, read_images
from uemdask.readers.pairing import RawImage

__all__ = [
    "ImageInfo",
    "RawAcquisition",
    "RawImage",
    "describe_image",
    "inspect_raw",
    "raw_folder",
    "read_image",
    "read_images",
    "relative_name",
]
