"""What lies in folders: names as people mean them, without what systems and servers leave there."""

from __future__ import annotations

import fnmatch
import glob
import re
import unicodedata
from pathlib import Path

from uemdask.errors import UemError
from uemdask.readers.natural_order import natural_sorted

#: Left by file servers, systems and programs, in small letters; so is what begins with a point.
_LEFT = (
    *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "@__thumb", "*@synoeastream"),
    *("*@synoresource", "#recycle", "#snapshot", "~snapshot", "$recycle.bin", "recycler"),
    *("recycled", "system volume information", "__macosx", "lost+found", "network trash folder"),
    *("temporary items", "thevolumesettingsfolder", "thumbs.db*", "ehthumbs*.db", "desktop.ini"),
    *("icon\r", "~$*", "aquota.user", "aquota.group"),
)
_IS_LEFT = re.compile("|".join(map(fnmatch.translate, _LEFT)))


def is_left_by_system(name: str) -> bool:
    """Return whether a file or folder is one that systems leave, never a person.

    Examples
    --------
    >>> [is_left_by_system(name) for name in ("@eaDir", "._a.tif", "Thumbs.db", "@80 K")]
    [True, True, True, False]
    """
    small = name.casefold()
    return small.startswith(".") or _IS_LEFT.match(small) is not None


def entries(folder: Path) -> list[Path]:
    """Return what people put into a folder, in the natural order of names.

    Raises
    ------
    UemError
        If it cannot be listed.
    """
    try:
        found = [path for path in folder.iterdir() if not is_left_by_system(path.name)]
    except OSError as error:
        raise UemError(
            f"{folder}: cannot be listed ({error.strerror}); check its rights"
        ) from error
    return natural_sorted(found)


def same_name(name: str) -> str:
    """Return a key that is the same for names that are so to a person.

    An ``ü`` may be one character or two (systems of Apple take it apart), a letter large or small.

    Examples
    --------
    >>> import unicodedata
    >>> same_name(unicodedata.normalize("NFD", "Brücke.TIF")) == same_name("brücke.tif")
    True
    """
    composed = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", composed)


def on_disk(path: Path) -> Path:
    """Return a path as its names are spelled on the disk, as it is if nothing is there.

    Only characters that are composed otherwise are another spelling, not the case of letters.
    """
    try:
        if path.exists() or path == path.parent:
            return path
        folder = on_disk(path.parent)
        wanted = unicodedata.normalize("NFC", path.name)
        found = [n for n in folder.iterdir() if unicodedata.normalize("NFC", n.name) == wanted]
    except (OSError, ValueError):  # no name of a file
        return path
    return found[0] if len(found) == 1 else path


def matching(folder: Path, pattern: str, *, recursive: bool = False) -> list[Path]:
    """Return what a pattern such as ``scan_*/dark*`` names in a folder, or anywhere.

    What systems leave is passed over unless the pattern spells it out.

    Parameters
    ----------
    folder : Path
        Where a pattern that is not absolute begins.
    pattern : str
        With ``*``, ``?`` and ``[]``.
    recursive : bool
        Whether ``**`` stands for folders in folders.
    """
    absolute = Path(pattern).is_absolute()
    whole = pattern if absolute else str(Path(glob.escape(str(folder))) / pattern)
    if "\0" in whole:  # no file can have such a name
        return []
    known = set(Path(whole).parts) | set(folder.parts)
    found: set[Path] = set()
    for form in ("NFC", "NFD"):
        for name in glob.glob(unicodedata.normalize(form, whole), recursive=recursive):
            if not any(is_left_by_system(p) for p in Path(name).parts if p not in known):
                found.add(Path(name))
    return sorted(found)
