"""Acquisition metadata in the names and units of NeXus, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.metadata.check import clean_value, quantities
from uemdask.metadata.table import ENTRIES, NEXUS_REST, RESERVED, MetadataEntry

#: Class of each group. NXem has no pump laser yet; its instrument may hold any NXsource and NXbeam.
CLASSES = {
    "/entry": "NXentry",
    "/entry/collection": "NXcollection",
    "/entry/measurement": "NXem_measurement",
    "/entry/measurement/instrument": "NXem_instrument",
    "/entry/measurement/instrument/beam_pump": "NXbeam",
    "/entry/measurement/instrument/detector1": "NXdetector",
    "/entry/measurement/instrument/ebeam_column": "NXebeam_column",
    "/entry/measurement/instrument/ebeam_column/electron_source": "NXsource",
    "/entry/measurement/instrument/source_pump": "NXsource",
    "/entry/note1": "NXnote",
    "/entry/sample": "NXsample",
    "/entry/user1": "NXuser",
}
# Others may name these groups as they like; a source or beam may be that of pump or probe.
_BY_CLASS = {
    "NXentry", "NXem_measurement", "NXem_instrument", "NXdetector", "NXebeam_column", "NXsample",
    "NXuser",
}  # fmt: skip
_CLASS = "@NX_class"


def to_nexus(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return acquisition metadata as the tree of a NeXus file.

    Groups are dictionaries with ``@NX_class``; the unit of ``field`` is ``field@units``. This is
    the form that ``silx.io.dictdump.dicttonx`` writes to HDF5. What NeXus has no name for goes to
    the group ``/entry/collection`` as text.

    Parameters
    ----------
    metadata : mapping
        As `uemdask.metadata.check_metadata` or ``ds.uem.metadata()`` returns them.

    Raises
    ------
    FaultsError
        If a known value is of the wrong kind or unit.

    Examples
    --------
    >>> to_nexus({"temperature": "20 °C"})["entry"]["sample"]
    {'@NX_class': 'NXsample', 'temperature': 293.15, 'temperature@units': 'K'}
    """
    tree: dict[str, Any] = {}
    faults = []
    _group(tree, "/entry")
    for name, value in metadata.items():
        entry = ENTRIES.get(name)
        if name in RESERVED:
            continue
        try:
            if entry is None:
                _group(tree, NEXUS_REST)[name] = value
            else:
                _write(tree, entry, clean_value(entry, value))
        except UemError as error:
            faults.append(str(error))
    if faults:
        raise FaultsError("metadata", faults)
    return tree


def _write(tree: dict[str, Any], entry: MetadataEntry, clean: Any) -> None:
    head, _, field = (entry.nexus or f"{NEXUS_REST}/{entry.name}").rpartition("/")
    group = _group(tree, head)
    if entry.nexus and entry.is_quantity:
        group[field] = quantities(entry, clean)[0].to(entry.unit).value
        group[f"{field}@units"] = entry.nexus_unit
    else:
        group[field] = "\n".join(clean) if entry.kind == "notes" else clean


def _group(tree: dict[str, Any], path: str) -> dict[str, Any]:
    way = ""
    for part in path.strip("/").split("/"):
        way += f"/{part}"
        tree = tree.setdefault(part, {_CLASS: CLASSES[way]})
    return tree


def from_nexus(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the acquisition metadata that the tree of a NeXus file holds.

    Parameters
    ----------
    tree : mapping
        In the form of `to_nexus`, as ``silx.io.dictdump.nxtodict`` reads it from a file. Entry,
        instrument, detector, sample and user are found by their class where it is the only one.

    Returns
    -------
    dict
        As `uemdask.metadata.check_metadata` returns it, numbers in the canonical unit.

    Raises
    ------
    FaultsError
        If a value is not of the kind that its name says.

    Examples
    --------
    >>> from_nexus({"entry": {"sample": {"temperature": 293.0, "temperature@units": "K"}}})
    {'temperature': '293 K'}
    """
    found: dict[str, Any] = {}
    faults = []
    for entry in ENTRIES.values():
        head, _, field = (entry.nexus or f"{NEXUS_REST}/{entry.name}").rpartition("/")
        group = _find(tree, head)
        value = _plain(group.get(field))
        if value is None or value == "":
            continue
        try:
            if entry.nexus and entry.is_quantity:
                unit = _plain(group.get(f"{field}@units")) or entry.nexus_unit
                value = quantities(entry, f"{value} {unit}")[0].to(entry.unit)
            found[entry.name] = clean_value(entry, value)
        except UemError as error:
            faults.append(str(error))
    for name, value in _find(tree, NEXUS_REST).items():
        if name not in ENTRIES and "@" not in name:
            found[name] = _plain(value)
    if faults:
        raise FaultsError("NeXus metadata", faults)
    return found


def _find(tree: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return the group at a path, empty where there is none."""
    way = ""
    for part in path.strip("/").split("/"):
        way += f"/{part}"
        group = tree.get(part)
        if not isinstance(group, Mapping) and CLASSES[way] in _BY_CLASS:
            alike = [
                group
                for group in tree.values()
                if isinstance(group, Mapping) and _plain(group.get(_CLASS)) == CLASSES[way]
            ]
            group = alike[0] if len(alike) == 1 else None
        if not isinstance(group, Mapping):
            return {}
        tree = group
    return tree


def _plain(value: Any) -> Any:
    """Return what HDF5 readers give as arrays of one element, or as bytes, as it was written."""
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
