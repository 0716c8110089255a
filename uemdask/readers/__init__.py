"""Readers: raw folders and files as instruments and people leave them."""

from uemdask.readers.acquisition import (
    RawAcquisition,
    inspect_raw,
    raw_folder,
    relative_name,
)
from uemdask.readers.images import describe_image, is_image, read_image, read_images
from uemdask.readers.info import ImageInfo, Reader
from uemdask.readers.pairing import RawImage

__all__ = [
    "ImageInfo",
    "RawAcquisition",
    "RawImage",
    "Reader",
    "describe_image",
    "inspect_raw",
    "is_image",
    "raw_folder",
    "read_image",
    "read_images",
    "relative_name",
]
