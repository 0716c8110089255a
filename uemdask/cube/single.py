"""A variable of one chunk, read and written as Zarr does it, without Zarr's machinery.

That takes milliseconds for each, however small it is, and the driver of a thousand runs has a
hundred of them for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numcodecs import VLenUTF8
from numcodecs.blosc import Blosc

from uemdask.cube.file_store import FileStore

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
#: Bytes before what Blosc has compressed; the last four say how many there are in all.
_HEADER = 16
_NOT_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def is_single(document: Mapping[str, Any]) -> bool:
    """Return whether a variable with this metadata is one chunk, stored as uemdask stores it."""
    codecs = [codec["name"] for codec in document["codecs"]]
    return (
        document["chunk_grid"]["configuration"]["chunk_shape"] == document["shape"]
        and document["chunk_key_encoding"].get("name") == "default"
        and codecs == (["vlen-utf8"] if document["data_type"] == "string" else ["bytes", "blosc"])
        and document["codecs"][0].get("configuration", {}).get("endian", "little") == "little"
        and not document.get("storage_transformers")
    )


class Single:
    """Such a variable; of a `zarr.Array` it has what a run needs of one.

    Parameters
    ----------
    disk : FileStore
        The store.
    name : str
        Of the variable.
    document : mapping
        Its metadata, for which `is_single`.
    """

    def __init__(self, disk: FileStore, name: str, document: Mapping[str, Any]) -> None:
        self.attrs: Mapping[str, Any] = document["attributes"]
        self.shape = self.chunks = tuple(document["shape"])
        self.ndim, self.shards = len(self.shape), None
        self._is_text = document["data_type"] == "string"
        self.dtype = np.dtypes.StringDType() if self._is_text else np.dtype(document["data_type"])
        self._disk, self._codec = disk, document["codecs"][-1].get("configuration", {})
        fill = document["fill_value"]
        self._fill = np.array(_NOT_FINITE.get(fill, fill), self.dtype)
        self._key = "/".join([name, "c", *["0"] * self.ndim])

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def __getitem__(self, index: Any) -> np.ndarray:
        try:
            data = (self._disk.root / self._key).read_bytes()
        except FileNotFoundError:
            return np.full(self.shape, self._fill)[index]
        if self._is_text:
            return VLenUTF8().decode(data).astype(self.dtype).reshape(self.shape)[index]
        # Blosc would go on to read whatever lies behind it in memory.
        if len(data) < _HEADER or int.from_bytes(data[12:16], "little") != len(data):
            raise ValueError("it is not as long as it says")
        values = np.frombuffer(Blosc().decode(data), self.dtype.newbyteorder("<"))
        return values.reshape(self.shape).astype(self.dtype)[index]

    def write(self, data: Any) -> None:
        """Write all values; where all are the fill value there is no file."""
        values = np.asarray(data).astype(self.dtype, order="C")
        if np.array_equal(
            values, np.broadcast_to(self._fill, self.shape), equal_nan=values.dtype.kind == "f"
        ):
            self._disk.delete_sync(self._key)
        elif self._is_text:
            self._disk.put(self._key, bytes(VLenUTF8().encode(values.astype(object))))
        else:
            codec = self._codec
            encode = Blosc(
                cname=codec["cname"],
                clevel=codec["clevel"],
                shuffle=_SHUFFLES[codec["shuffle"]],
                blocksize=codec["blocksize"],
            ).encode
            self._disk.put(self._key, bytes(encode(values.astype(self.dtype.newbyteorder("<")))))
