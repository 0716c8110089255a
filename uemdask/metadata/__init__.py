"""Acquisition metadata: one spelling with units, and the names HyperSpy and NeXus have for it."""

from uemdask.metadata.check import check_metadata, read_metadata
from uemdask.metadata.hyperspy_names import from_hyperspy_metadata, to_hyperspy_metadata
from uemdask.metadata.nexus_names import from_nexus, to_nexus
from uemdask.metadata.table import ENTRIES, MetadataEntry
from uemdask.metadata.vendor import from_vendor

__all__ = [
    "ENTRIES",
    "MetadataEntry",
    "check_metadata",
    "from_hyperspy_metadata",
    "from_nexus",
    "from_vendor",
    "read_metadata",
    "to_hyperspy_metadata",
    "to_nexus",
]
