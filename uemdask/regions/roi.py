"""What a region of interest is, and reading it from plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from uemdask.errors import FaultsError, Place, located_faults, spelled

RELEVANT_MASK = "mask"
"""Name under which the run's relevant mask is a named mask."""

Point = tuple[FiniteFloat, FiniteFloat]
Ring = Annotated[tuple[Point, ...], Field(min_length=3)]


class Rectangle(BaseModel):
    """An upright rectangle: ``low <= centre < high`` on both axes.

    Parameters
    ----------
    x, y : (float, float)
        Low and high bound, y downwards.
    unit : {"nm", "px"}
        nm on the run's ``x`` and ``y``; or px, where pixel ``i`` reaches from ``i`` to ``i + 1``,
        so that ``[0, 64]`` is the first 64 pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    x: tuple[FiniteFloat, FiniteFloat]
    y: tuple[FiniteFloat, FiniteFloat]
    unit: Literal["nm", "px"] = "nm"

    @field_validator("x", "y")
    @classmethod
    def _rising(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not bounds[1] > bounds[0]:
            raise ValueError(f"found {bounds[0]} to {bounds[1]}; the second must be the larger")
        return bounds


class Roi(BaseModel):
    """A named region: exactly one of `rectangle`, `polygon` (or `geojson`), `mask`.

    Parameters
    ----------
    name : str
        Name in the results.
    rectangle : Rectangle, optional
    polygon : sequence of (x, y) in nm, optional
        Corners; the last need not repeat the first.
    geojson : dict, optional
        A GeoJSON Polygon, MultiPolygon or Feature of one (RFC 7946), coordinates (x, y) in nm, y
        downwards. Points inside an even number of rings are outside, so holes work.
    mask : str, optional
        Name of a mask array; ``"mask"`` is the run's relevant mask.

    Examples
    --------
    >>> Roi(name="edge", polygon=[(0, 0), (100, 0), (0, 100)]).rings
    (((0.0, 0.0), (100.0, 0.0), (0.0, 100.0)),)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    rectangle: Rectangle | None = None
    polygon: Ring | None = None
    geojson: dict[str, Any] | None = None
    mask: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("geojson")
    @classmethod
    def _polygons_only(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            _polygons(value)
        return value

    @model_validator(mode="after")
    def _one_shape(self) -> Roi:
        given = [
            key
            for key in ("rectangle", "polygon", "geojson", "mask")
            if getattr(self, key) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                f"found {' and '.join(given) or 'no shape'}; "
                "give exactly one of rectangle, polygon, geojson, mask"
            )
        return self

    @property
    def polygons(self) -> tuple[tuple[tuple[Point, ...], ...], ...]:
        """Polygons as rings of (x, y) in nm, outer ring first; empty for rectangle and mask."""
        if self.polygon is not None:
            return ((self.polygon,),)
        return _polygons(self.geojson) if self.geojson is not None else ()

    @property
    def rings(self) -> tuple[tuple[Point, ...], ...]:
        """All rings of all polygons."""
        return tuple(ring for polygon in self.polygons for ring in polygon)


DEFAULT_ROI = Roi(name=RELEVANT_MASK, mask=RELEVANT_MASK)
"""The region of a run for which none was drawn: all relevant pixels."""


def _polygons(geojson: dict[str, Any]) -> tuple[tuple[tuple[Point, ...], ...], ...]:
    kind = geojson.get("type")
    if kind == "Feature" and isinstance(geojson.get("geometry"), dict):
        return _polygons(geojson["geometry"])
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"found type {kind!r}; give a Polygon, MultiPolygon or Feature of one")
    coordinates: Any = geojson.get("coordinates")
    try:
        parts: Any = [coordinates] if kind == "Polygon" else coordinates
        polygons = tuple(
            tuple(tuple((float(x), float(y)) for x, y, *_ in ring) for ring in part)
            for part in parts
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"coordinates are not rings of [x, y] numbers ({error})") from error
    if not polygons or any(len(ring) < 3 for polygon in polygons for ring in polygon):
        raise ValueError("every ring needs at least three points")
    if any(abs(v) == float("inf") or v != v for p in polygons for r in p for c in r for v in c):
        raise ValueError("every coordinate must be a finite number of nm")
    return polygons


def parse_rois(items: Sequence[Any] | None, source: str = "rois") -> list[Roi]:
    """Read regions from plain dicts, as they come from YAML or JSON.

    Parameters
    ----------
    items : sequence of dict, or None
        See `Roi`. None or empty gives the default region, all relevant pixels.
    source : str
        File or key they come from, for the message.

    Returns
    -------
    list of Roi
        Names are unique.

    Raises
    ------
    FaultsError
        With every fault of every region at once.

    Examples
    --------
    >>> rois = parse_rois([{"name": "left", "rectangle": {"x": [0, 500], "y": [0, 900]}}])
    >>> rois[0].rectangle.unit
    'nm'
    >>> parse_rois(None)[0].name
    'mask'
    """
    if items is None or (isinstance(items, Sequence) and len(items) == 0):
        return [DEFAULT_ROI]
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise FaultsError(source, [f"found {type(items).__name__}; give a list of regions"])
    rois, found = read_rois(items)
    if found:
        raise FaultsError(source, [_told(items, place, text) for place, text in found])
    return list(rois.values())


def read_rois(items: Sequence[Any]) -> tuple[dict[int, Roi], list[tuple[Place, str]]]:
    """Return the sound regions by their number, and the faults of the others with their places."""
    rois: dict[int, Roi] = {}
    faults: list[tuple[Place, str]] = []
    seen: set[str] = set()
    for index, item in enumerate(items):
        try:
            roi = Roi.model_validate(item)
        except ValidationError as error:
            faults += [((index, *place), text) for place, text in located_faults(error)]
            continue
        if roi.name in seen:
            faults.append(((index,), "the name is used twice; give every region its own"))
        seen.add(roi.name)
        rois[index] = roi
    return rois, faults


def _told(items: Sequence[Any], place: Place, text: str) -> str:
    index, *keys = place
    name = items[int(index)].get("name") if isinstance(items[int(index)], dict) else None
    where = f"region {int(index) + 1}" + (f" ({name})" if name else "")
    return f"{where}{', ' + spelled(tuple(keys)) if keys else ''}: {text}"
