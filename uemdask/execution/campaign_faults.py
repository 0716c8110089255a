"""What is wrong with a campaign file: all faults in one round, each with its place and line."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uemdask.errors import FaultsError, Place, UemError, keys_of, located_faults
from uemdask.execution.campaign import Campaign, RunEntry
from uemdask.metadata import check_metadata
from uemdask.readers import RawSettings, read_drift_table
from uemdask.readers.delays import parse_plan
from uemdask.readers.folders import on_disk
from uemdask.readers.yaml_faults import Fault
from uemdask.regions import read_rois
from uemdask.regions.roi import RELEVANT_MASK
from uemdask.stages.train import TrainParameters
from uemdask.units import parse_counts, parse_delay, parse_pixel_size

#: What is wrong may hide more: a file is looked at again without it, so many times at most.
_ROUNDS = 5
#: Keys of metadata that say which images are special; they are no metadata.
_SPECIAL = ("dark", "pump_off")


def sound_part(found: Any) -> tuple[Campaign | None, list[Fault]]:
    """Return the campaign without what breaks its schema, and the faults.

    The rest is then looked at as well, so that nobody has to mend a file twice. None where nothing
    is left of it.
    """
    faults: list[Fault] = []
    for _ in range(_ROUNDS):
        try:
            return Campaign.model_validate(found), faults
        except ValidationError as error:
            new = located_faults(error, keys_of(Campaign))
        faults += [fault for fault in new if fault not in faults]
        found = copy.deepcopy(found)
        # From the end, so that the numbers of entries before stay what they are.
        if not all(_taken_out(found, place) for place, _ in reversed(new)):
            break
    return None, faults


def _taken_out(found: Any, place: Place) -> bool:
    """Remove what stands at a place, or else what is around it; return whether that could be."""
    owner: Any = None
    key: Any = None
    for part in place:
        inner = found[key] if owner is not None else found
        if not (
            (isinstance(inner, dict) and part in inner)
            or (isinstance(inner, list) and isinstance(part, int) and part < len(inner))
        ):
            break
        owner, key, found = inner, part, inner
    if owner is None or (isinstance(owner, dict) and key == "runs"):
        return False
    if place[:1] == ("runs",) and isinstance(owner, list):
        owner[key] = {}  # keeps the numbers of the runs
    else:
        del owner[key]
    return True


def faults_of_entry(entry: RawSettings, place: Place, folder: Path) -> Iterator[Fault]:
    """Yield what is wrong with an entry, as far as its raw data need not be known."""
    if entry.pixel_size is not None:
        yield from _refused(parse_pixel_size, entry.pixel_size, (*place, "pixel_size"))
    if entry.time_zero is not None:
        yield from _refused(parse_delay, entry.time_zero, (*place, "time_zero"), what="time zero")
    if entry.offset is not None:
        yield from _refused(parse_counts, entry.offset, (*place, "offset"), what="offset")
    if entry.delays is not None and not names_file(folder, entry.delays):
        if ":" in entry.delays:
            yield from _refused(parse_plan, entry.delays, (*place, "delays"))
        else:
            yield (
                (*place, "delays"),
                f"{entry.delays!r} is no file in {folder}, and no plan like '-30:500:5 ps'; "
                f"check the path",
            )
    for key, value in entry.metadata.items():
        if key not in _SPECIAL:
            try:
                check_metadata({key: value}, "metadata")
            except FaultsError as error:
                for fault in error.faults:
                    yield (*place, "metadata", key), fault.removeprefix(f"{key}: ")
    if isinstance(entry, RunEntry) and entry.run is not None and entry.raw is None:
        for key in sorted(entry.model_fields_set & set(RawSettings.model_fields)):
            yield (*place, key), "belongs to raw data, and 'run' is ingested already; leave it out"


def _refused(parse: Any, text: str, place: Place, **options: str) -> Iterator[Fault]:
    try:
        parse(text, **options)
    except UemError as error:
        yield place, str(error)


def names_file(folder: Path, text: str) -> bool:
    """Return whether a text is the name of a file in the campaign's folder."""
    try:
        return on_disk(folder / text).is_file()
    except (OSError, ValueError):  # a long plan of delays is no file name
        return False


def faults_of_parameters(campaign: Campaign, folder: Path) -> Iterator[Fault]:
    """Yield what is wrong with files that parameters name, and with parameters that clash."""
    yield from _faults_of_files(campaign.parameters.model_dump(), ("parameters",), folder)
    for number, entry in enumerate(campaign.runs):
        yield from _faults_of_files(entry.parameters, ("runs", number, "parameters"), folder)
    if campaign.model == "base" and campaign.parameters.train.unet != TrainParameters().unet:
        yield (
            ("parameters", "train", "unet"),
            "the base model has its own network; leave this out, or train from nothing with "
            "model 'new'",
        )


def _faults_of_files(
    parameters: dict[str, dict[str, Any]], place: Place, folder: Path
) -> Iterator[Fault]:
    for name, file in parameters.get("feature", {}).get("masks", {}).items():
        if not names_file(folder, file):
            inner = (*place, "feature", "masks", name)
            yield inner, f"{file!r} is no file in {folder}; check the path"
    table = parameters.get("align", {}).get("drift_table")
    if table is not None:
        for fault in _faults_of_table(on_disk(folder / table)):
            yield (*place, "align", "drift_table"), fault


def _faults_of_table(table: Path) -> list[str]:
    if not table.is_file():
        return [f"{table} is not there; check the path"]
    try:
        read_drift_table(table)
    except FaultsError as error:
        return [f"{table}: {fault}" for fault in error.faults]
    except UemError as error:
        return [str(error)]
    return []


def faults_of_regions(campaign: Campaign) -> Iterator[Fault]:
    """Yield what is wrong with regions, which are needed last but known first."""
    own = [entry.parameters.get("feature", {}) for entry in campaign.runs]
    shared = [RELEVANT_MASK, *campaign.parameters.feature.masks]
    masks = [[*shared, *feature.get("masks", {})] for feature in own]
    common = [mask for mask in masks[0] if all(mask in of for of in masks)]
    place: Place = ("parameters", "feature", "rois")
    replaced, faults = _checked(place, campaign.parameters.feature.rois, common, set())
    yield from faults
    everywhere, faults = _checked(("rois",), campaign.rois, common, replaced)
    yield from faults
    for number, (entry, feature) in enumerate(zip(campaign.runs, own, strict=True)):
        place = ("runs", number, "parameters", "feature", "rois")
        names, faults = _checked(place, feature.get("rois", []), masks[number], everywhere)
        yield from faults
        taken = everywhere | (names if "rois" in feature else replaced)
        yield from _checked(("runs", number, "rois"), entry.rois, masks[number], taken)[1]


def _checked(
    place: Place, items: list[dict[str, Any]], masks: list[str], taken: set[str]
) -> tuple[set[str], list[Fault]]:
    """Return the names of regions in a list, and its faults."""
    rois, wrong = read_rois(items)
    faults = [((*place, *inner), text) for inner, text in wrong]
    for number, roi in rois.items():
        if roi.name in taken:
            text = f"{roi.name!r} is a region of this run already; give another name"
            faults.append(((*place, number, "name"), text))
        if roi.mask is not None and roi.mask not in masks:
            text = f"{roi.mask!r} is no mask; there are only {', '.join(masks)}"
            faults.append(((*place, number, "mask"), text))
    return {roi.name for roi in rois.values()}, faults
