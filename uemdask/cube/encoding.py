"""How a variable of the data contract is stored: type, chunks, compression, and its attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BloscShuffle
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from uemdask.cube.contract import VARIABLES
from uemdask.cube.layout import chunks_of, shards_of

# Frames and wave are read twice and more: fast lz4. Results are written once: smaller zstd.
_FAST = BloscCodec(cname="lz4", clevel=1, shuffle=BloscShuffle.bitshuffle)
_SMALL = BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.bitshuffle)
FAST_VARIABLES = ("intensity", "wave")


def new_document(name: str, sizes: Mapping[str, int], dtype: str | None = None) -> dict[str, Any]:
    """Return the metadata of a variable, as in its ``zarr.json``.

    Its chunks follow from the sizes alone.

    Examples
    --------
    >>> new_document("gain", {"time": 120})["shape"]
    [120]
    """
    dims = tuple((dim, sizes[dim]) for dim in VARIABLES[name].dims)
    found: dict[str, Any] = json.loads(_text(name, dims, dtype))
    return found


# Zarr takes milliseconds to put them together, and a campaign has a thousand runs of a size.
@lru_cache(maxsize=1024)
def _text(name: str, dims: tuple[tuple[str, int], ...], dtype: str | None) -> bytes:
    variable, sizes = VARIABLES[name], dict(dims)
    kind = dtype or variable.dtype
    fill: Any = {"float32": np.nan, "float64": np.nan, "str": ""}.get(kind, variable.missing)
    if fill is None:
        fill = False if kind == "bool" else 0
    attributes: dict[str, Any] = variable.attributes
    if variable.step is not None:
        attributes["scale_factor"] = variable.step
    if variable.missing is not None:
        attributes["_FillValue"] = variable.missing
    text = kind == "str"
    written: dict[str, Buffer] = {}
    zarr.create_array(
        MemoryStore(written),
        shape=tuple(sizes.values()),
        dtype=str if text else kind,
        chunks=chunks_of(name, sizes),
        shards=shards_of(name, sizes),
        compressors=None if text else (_FAST if name in FAST_VARIABLES else _SMALL),
        fill_value=fill,
        dimension_names=variable.dims,
        attributes=attributes,
    )
    return written["zarr.json"].to_bytes()
