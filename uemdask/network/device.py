"""Which processor the network runs on."""

from __future__ import annotations

from typing import NamedTuple

import torch

from uemdask.errors import UemError


class Device(NamedTuple):
    """A processor, and a sentence that says so.

    Attributes
    ----------
    device : torch.device
        The processor.
    sentence : str
        What is used, and why, for logs and reports.
    """

    device: torch.device
    sentence: str


def choose_device(wish: str = "auto") -> Device:
    """Return the processor to use.

    Parameters
    ----------
    wish : str
        ``auto`` takes a GPU where there is one; ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` insist.

    Returns
    -------
    Device
        The processor and a sentence about it.

    Raises
    ------
    UemError
        If the wish is unknown, or the machine has no such processor.

    Examples
    --------
    >>> choose_device("cpu").device
    device(type='cpu')
    """
    if wish == "auto":
        if torch.cuda.is_available():
            wish = "cuda"
        elif torch.backends.mps.is_available():
            wish = "mps"
        else:
            return Device(torch.device("cpu"), f"No GPU was found, so {_on_cpu()}")
    try:
        device = torch.device(wish)
    except RuntimeError:
        raise UemError(
            f"The device is {wish!r}; it must be auto, cpu, cuda, cuda:N or mps."
        ) from None
    if device.type == "cpu":
        return Device(device, f"As asked, {_on_cpu()}")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise UemError(
                f"The device is {wish!r}, but PyTorch finds {count} CUDA GPUs here; "
                "use auto, or install a PyTorch built for this machine's GPU."
            )
        return Device(device, f"The network runs on {torch.cuda.get_device_name(device)} ({wish}).")
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise UemError(f"The device is {wish!r}, but this machine has no such GPU; use auto.")
        return Device(device, "The network runs on this Mac's GPU (mps).")
    raise UemError(_UNKNOWN.format(wish))


def _on_cpu() -> str:
    threads = torch.get_num_threads()
    return f"the network runs on the CPU with {threads} thread{'s' if threads != 1 else ''}."


_UNKNOWN = "The device is {!r}; it must be auto, cpu, cuda, cuda:N or mps."
