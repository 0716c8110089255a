"""The files of a store on the disk: each written whole, with a record of its size and checksum."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import google_crc32c
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from uemdask.atomic_write import DRAFT, atomic_write, sync_files

_BLOSC = b"\x02"  # version, the first byte
_HEADER = 16  # bytes, of which the last four tell how long the chunk is
#: Size in bytes and CRC32C (8 hex digits) of a chunk file by its key, such as ``wave/c/0/0/0``;
#: None where there is to be no file, because all values are the fill value.
Files = dict[str, tuple[int, str] | None]


class FileStore(LocalStore):
    """A store on the disk that records size and checksum of what is written.

    Parameters
    ----------
    root : Path
        Folder of the store.
    read_only : bool
        Whether it refuses to be written.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._files: Files = {}
        self._unsettled: set[Path] = set()

    async def _open(self, *, mode: Any = None) -> None:
        # Zarr would make the folder.
        if not self.root.exists():
            raise FileNotFoundError(f"{self.root} does not exist")
        self._is_open = True

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return the same store, to be written or not."""
        return type(self)(self.root, read_only=read_only)

    async def get(self, key: str, *arguments: Any, **keywords: Any) -> Buffer | None:
        """Read a file, or a part of it."""
        return checked(key, await super().get(key, *arguments, **keywords))

    def get_sync(self, key: str, **keywords: Any) -> Buffer | None:
        """Read a file, or a part of it."""
        return checked(key, super().get_sync(key, **keywords))

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file."""
        self._check_writable()
        await asyncio.to_thread(self.put, key, value.to_bytes())

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a file unless it is there."""
        if not await self.exists(key):
            await self.set(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a file."""
        self._check_writable()
        self.put(key, value.to_bytes())

    async def delete(self, key: str) -> None:
        """Remove a file or folder."""
        await super().delete(key)
        self._forget(key)

    def delete_sync(self, key: str) -> None:
        """Remove a file or folder."""
        super().delete_sync(key)
        self._forget(key)

    def put(self, key: str, data: bytes) -> None:
        """Write a file so that a reader sees all or nothing of it."""
        file = self.root / key
        file.parent.mkdir(parents=True, exist_ok=True)
        # In the root Zarr would warn of a file that it does not know; the root may be a link.
        drafts = self.root.resolve().parent if file.parent == self.root else None
        with atomic_write(file, drafts=drafts, settled=False) as stream:
            stream.write(data)
        self.note(file)
        if is_chunk(key):
            self._files[key] = len(data), f"{google_crc32c.value(data):08x}"

    def _forget(self, key: str) -> None:
        if is_chunk(key):
            self._files[key] = None
            self.note(self.root / key)  # that it is gone is to stay, too

    def note(self, file: Path) -> None:
        """Note that a file was written, or removed, and is to be settled with the others."""
        self._unsettled.add(file)

    def settle(self) -> None:
        """Put on the disk what was written since the last time.

        Raises
        ------
        OSError
            If the disk fails.
        """
        unsettled, self._unsettled = self._unsettled, set()
        sync_files(sorted(unsettled), self.root)

    def take_checksums(self) -> Files:
        """Return size and sum of the chunks written since the last time, all of them settled."""
        self.settle()
        files, self._files = self._files, {}
        return dict(sorted(files.items()))


def renewed(known: Files, fresh: Files) -> Files:
    """Return what is known of files after variables were written again as a whole.

    Their chunks may be others now, of which some are no more.

    Examples
    --------
    >>> renewed({"gain/c/0": (9, "a"), "gain/c/1": (9, "b")}, {"gain/c/0": (17, "c")})
    {'gain/c/0': (17, 'c')}
    """
    written = {key.partition("/")[0] for key in fresh}
    return {
        key: file for key, file in known.items() if key.partition("/")[0] not in written
    } | fresh


def is_chunk(key: str) -> bool:
    """Return whether a key is that of a chunk or shard."""
    return not key.endswith("zarr.json") and "/c/" in key


def checksum_of(file: Path) -> tuple[int, str]:
    """Return size in bytes and CRC32C (8 hex digits) of a file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    total, size = google_crc32c.Checksum(), 0
    with file.open("rb") as stream:
        while part := stream.read(2**20):
            total.update(part)
            size += len(part)
    return size, total.hexdigest().decode()


def chunk_files(store: Path, variable: str) -> dict[str, Path]:
    """Return the chunk files of a variable that are there, by key."""
    return {
        file.relative_to(store).as_posix(): file
        for file in sorted((store / variable / "c").rglob("*"))
        if file.is_file() and not file.name.startswith(DRAFT)
    }


def checksums_of(store: Path, variables: Iterable[str], known: Mapping[str, object]) -> Files:
    """Return size and sum of the chunk files of variables that are not known, as they are now."""
    return {
        key: checksum_of(file)
        for variable in variables
        for key, file in chunk_files(store, variable).items()
        if key not in known
    }


def checked(key: str, data: Buffer | None) -> Buffer | None:
    """Return what was read of a file; refuse a chunk that is shorter than it says.

    Blosc would go on to read whatever lies behind it in memory. A shard begins with a chunk, too.

    Raises
    ------
    ValueError
        If the chunk is cut short.
    """
    if data is not None and is_chunk(key):
        head = data[:_HEADER].to_bytes()
        is_blosc = head[:1] == _BLOSC
        if is_blosc and (len(head) < _HEADER or int.from_bytes(head[12:], "little") > len(data)):
            raise ValueError("it is cut short")
    return data
