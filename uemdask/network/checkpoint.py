"""Model and checkpoint files: plain tensors and plain values, replaced in one step."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from uemdask.atomic_write import atomic_write
from uemdask.errors import UemError
from uemdask.network.unet import UNet, UNetConfig
from uemdask.version import __version__

#: Written into every file; another number means another layout of the file.
FORMAT = 1


def save_checkpoint(path: Path | str, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values to a file, all or nothing.

    Parameters
    ----------
    path : path
        The file; its folder is made. A reader sees the old file or the new one, never a part.
    content : mapping
        Tensors, numbers, strings, and lists and dicts of them.

    Raises
    ------
    UemError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            torch.save({"format": FORMAT, "version": __version__, **content}, stream)
    except OSError as error:
        raise UemError(
            f"{path}: cannot be written ({error.strerror}); make room there, or see that you may "
            f"write to it, then give the same command again"
        ) from error


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a file of `save_checkpoint`; nothing in it is executed.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        Its content, tensors on the CPU.

    Raises
    ------
    UemError
        If the file is missing, damaged, or of another format.
    """
    path = Path(path)
    try:
        _refuse_unpacking(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UemError(f"{path}: there is no such model file; check the path.") from None
    except Exception as error:  # of a file that somebody made, whatever torch's reader meets
        raise UemError(
            f"{path}: this is not a model or checkpoint file, or it is damaged; name another file, "
            "or remove it if it is a checkpoint that a training wrote."
        ) from error
    if not isinstance(content, dict) or "format" not in content:
        raise UemError(f"{path}: this file was not written by uemdask; choose another one.")
    if content["format"] != FORMAT:
        raise UemError(
            f"{path}: file format {content['format']} (written by uemdask "
            f"{content.get('version')}), but this version reads format {FORMAT}."
        )
    return content


def _refuse_unpacking(path: Path) -> None:
    """Refuse what is no ordinary file, or would be larger in memory than it is.

    torch stores tensors as they are; of packed ones a small file could fill the memory.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        raise ValueError("no ordinary file")
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("packed")


def save_model(
    path: Path | str,
    model: UNet,
    *,
    provenance: Mapping[str, Any] | None = None,
    half: bool = False,
) -> str:
    """Write a network's weights, shape and origin, and return its digest.

    Parameters
    ----------
    path : path
        The file.
    model : UNet
        The network.
    provenance : mapping, optional
        What made it: plain values such as the training configuration and the data's digests.
    half : bool
        Store weights as float16: half the size, 5e-4 of each weight lost.

    Returns
    -------
    str
        `model_digest` of the file.

    Raises
    ------
    UemError
        If the file cannot be written.
    """
    save_checkpoint(
        path,
        {
            "unet": model.config.model_dump(mode="json"),
            "weights": {
                name: tensor.half() if half else tensor
                for name, tensor in _plain(model.state_dict()).items()
            },
            "provenance": dict(provenance or {}),
        },
    )
    return model_digest(path)


def load_model(path: Path | str) -> tuple[UNet, dict[str, Any]]:
    """Read a network and its origin.

    Parameters
    ----------
    path : path
        A file of `save_model`.

    Returns
    -------
    model : UNet
        On the CPU, in evaluation mode.
    provenance : dict
        What made it.

    Raises
    ------
    UemError
        If the file is missing, damaged, or holds no network.
    """
    content = load_checkpoint(path)
    try:
        config = UNetConfig.model_validate(content["unet"])
        weights, provenance = content["weights"], dict(content.get("provenance", {}))
        # Before it takes memory: as many weights as are there.
        if config.size != sum(_whole_shape(tensor).numel() for tensor in weights.values()):
            raise ValueError("other weights than those of the network that it names")
        model = UNet(config)
        model.load_state_dict(weights)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UemError(
            f"{path}: holds no network that this version knows; train a new one."
        ) from error
    return model.eval(), provenance


def _whole_shape(tensor: torch.Tensor) -> torch.Size:
    """Return the shape of a tensor all of whose values are there."""
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise ValueError("a few values stand for many")
    return tensor.shape


def model_digest(path: Path | str) -> str:
    """Return a digest of the network in a file: its shape and weights, whatever its origin.

    Parameters
    ----------
    path : path
        A file of `save_model`.

    Returns
    -------
    str
        First 16 hexadecimal digits of SHA-256.

    Raises
    ------
    UemError
        If the file is missing, damaged, or holds no network.
    """
    try:
        found = Path(path).stat()
    except OSError:
        load_model(path)  # says what is wrong
        raise
    return _digest_of(Path(path), found.st_ino, found.st_mtime_ns, found.st_size)


# Asked for every run of a campaign and for every task; a file that is replaced is another one.
@lru_cache(maxsize=64)
def _digest_of(path: Path, inode: int, modified: int, size: int) -> str:
    model, _ = load_model(path)
    digest = hashlib.sha256(model.config.model_dump_json().encode())
    for name, tensor in sorted(_plain(model.state_dict()).items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def _plain(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights on the CPU in the ordinary memory order, whatever device they trained on."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
