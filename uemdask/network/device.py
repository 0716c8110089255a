"""Which processors the network runs on, and how data come to them."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from uemdask.errors import UemError

#: Images of a step that a GPU should at least get: with fewer it waits for its instructions.
_LEAST_IMAGES = 4

#: Share of a GPU's free memory that training data may take; the network's features need room.
_DATA_SHARE = 0.5


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


class Devices(NamedTuple):
    """The processors of a training, one for each process, and a sentence that says so."""

    devices: tuple[torch.device, ...]
    sentence: str


def choose_devices(
    processes: int | Literal["auto"] = "auto", *, images: int, wish: str = "auto"
) -> Devices:
    """Return the processors to train on.

    Parameters
    ----------
    processes : int or "auto"
        How many; ``auto`` takes all GPUs that this process sees and that get at least four
        images of a step, and on a CPU one process, which has all threads.
    images : int
        Of a step.
    wish : str
        As for `choose_device`.

    Returns
    -------
    Devices

    Raises
    ------
    UemError
        If there are fewer GPUs than processes, or this kind of GPU takes only one.

    Examples
    --------
    >>> choose_devices(2, images=12, wish="cpu").devices
    (device(type='cpu'), device(type='cpu'))
    """
    device, sentence = choose_device(wish)
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1
    count = max(1, min(gpus, images // _LEAST_IMAGES)) if processes == "auto" else processes
    if count == 1:
        return Devices((device,), sentence)
    if device.type == "cpu":
        each = max(1, torch.get_num_threads() // count)
        return Devices(
            (device,) * count,
            f"{sentence.removesuffix('.')}, in {count} processes of {_threads(each)}.",
        )
    if count > gpus:
        raise UemError(
            f"'processes' is {count}, but a training sees {gpus} GPU{'s' * (gpus != 1)} of its "
            "own here; use auto, or a worker with more GPUs."
        )
    return Devices(
        tuple(torch.device("cuda", index) for index in range(count)),
        f"The network is trained on {count} GPUs ({torch.cuda.get_device_name(device)}), "
        "with a process for each.",
    )


def data_device(nbytes: int, device: torch.device) -> torch.device:
    """Return where training data of this size are held: on the GPU where they fit.

    Otherwise they stay in the memory of the host, and each crop is sent.
    """
    if device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if nbytes <= _DATA_SHARE * free else torch.device("cpu")


def to_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return a tensor on a device, without waiting for the work that is under way there."""
    device = torch.device(device)
    if tensor.device.type == device.type and device.index in (None, tensor.device.index):
        return tensor  # "cuda" without a number is whichever it is on
    if device.type == "cuda" and tensor.device.type == "cpu":
        # From ordinary memory CUDA would first finish all it has been given to do.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type != "mps")


def as_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return an array as a tensor that is only read; it shares memory where it runs forwards."""
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
        return torch.from_numpy(array)


def _on_cpu() -> str:
    return f"the network runs on the CPU with {_threads(torch.get_num_threads())}."


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count != 1 else ''}"


_UNKNOWN = "The device is {!r}; it must be auto, cpu, cuda, cuda:N or mps."
