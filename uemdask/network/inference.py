"""Flow of whole frames, in tiles that leave no trace."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from uemdask.errors import UemError
from uemdask.network.amplitude import normalise
from uemdask.network.unet import UNet

#: Pixels given to the network at once: the features of more do not stay in a CPU's cache.
PIXELS_AT_ONCE = 2**18


def predict(
    model: UNet,
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    *,
    scale: float,
    tile: int = 1024,
    overlap: int | None = None,
    device: torch.device | str = "cpu",
    views: int = 1,
    samples: int = 0,
    seed: int = 0,
    precision: Literal["float32", "float16", "bfloat16"] = "float32",
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the displacement between pairs of frames, and its standard deviation.

    Parameters
    ----------
    model : UNet
        Trained network; it is moved to the device.
    first, second : ndarray, shape (n, y, x)
        Wave of the first and the second frames, as in the store (not yet normalised).
    scale : float
        The run's `uemdask.network.amplitude.wave_scale`.
    tile : int, px
        Side of the squares that are kept of each piece; bounds memory.
    overlap : int, px, optional
        Margin around each tile that is computed and thrown away. By default the reach of the
        network, and then tiling does not change the result (to 1e-5 of the flow). Less is faster.
    device : torch.device or str
        Where to compute.
    views : int
        1, 2 or 4: average over the pair as it is, turned by half a turn, and both with bright and
        dark exchanged. The motion is the same in all of them; what the network makes of its own
        is not, and averages out.
    samples : int
        Monte-Carlo dropout: number of thinned networks whose spread is added to the standard
        deviation. 0 leaves it out.
    seed : int
        Decides the thinned networks. They are the same for every tile and pair.
    precision : {"float32", "float16", "bfloat16"}
        Half precision is for GPUs. It changes the flow of the base model by 3e-4 (float16) or 3e-3
        (bfloat16) of it, rms; TF32, in which PyTorch computes float32 convolutions on GPUs that
        have it, by 1e-4. All found on a CPU.

    Returns
    -------
    flow : ndarray of float32, shape (n, 2, y, x), px
        ``first(r) = second(r + flow(r))``.
    sd : ndarray of float32, shape (n, 2, y, x), px
        Stated by the network and from dropout together; NaN if there is neither.

    Raises
    ------
    UemError
        If shapes do not fit, the number of views is another, or half precision is asked for on a
        CPU.

    Notes
    -----
    Dropout as uncertainty: Gal and Ghahramani (2016), arXiv:1506.02142.
    """
    device = torch.device(device)
    if first.ndim != 3 or first.shape != second.shape:
        raise UemError(
            f"First and second frames have shapes {first.shape} and {second.shape}; both must be "
            "the same (n, y, x)."
        )
    if precision != "float32" and device.type == "cpu":
        raise UemError(f"The precision is {precision}, which only helps on a GPU; use float32.")
    if views not in _VIEWS:
        raise UemError(f"views: found {views}; take 1, 2 or 4.")
    model = model.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    stride = model.config.stride
    overlap = model.config.reach if overlap is None else _up(overlap, stride)
    tile = _up(max(tile, 1), stride)

    count, height, width = first.shape
    flow = np.empty((count, 2, height, width), dtype=np.float32)
    sd = np.empty_like(flow)
    at_once = max(1, PIXELS_AT_ONCE // (min(height, tile) * min(width, tile)))
    with (
        torch.inference_mode(),
        torch.autocast(device.type, _TYPES[precision], enabled=precision != "float32"),
    ):
        for begin in range(0, count, at_once):
            some = slice(begin, begin + at_once)
            pairs = np.stack((normalise(first[some], scale), normalise(second[some], scale)), 1)
            # Padded as the network would pad the whole frame, so tiles see the same pixels.
            images = functional.pad(
                torch.from_numpy(pairs), (0, -width % stride, 0, -height % stride)
            )
            for top in range(0, height, tile):
                for left in range(0, width, tile):
                    rows = slice(max(0, top - overlap), top + tile + overlap)
                    columns = slice(max(0, left - overlap), left + tile + overlap)
                    piece = images[..., rows, columns].to(device)
                    found = _seen(model, piece, views, samples, seed)
                    kept_y = slice(top, min(top + tile, height))
                    kept_x = slice(left, min(left + tile, width))
                    inner = (
                        ...,
                        slice(kept_y.start - rows.start, kept_y.stop - rows.start),
                        slice(kept_x.start - columns.start, kept_x.stop - columns.start),
                    )
                    flow[some, :, kept_y, kept_x] = found[0][inner].float().cpu().numpy()
                    sd[some, :, kept_y, kept_x] = found[1][inner].float().cpu().numpy()
    return flow, sd


def _seen(
    model: UNet, images: torch.Tensor, views: int, samples: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average flow and variance over views of the same motion."""
    flow = variance = torch.zeros((), device=images.device)
    for turned, sign in _VIEWS[views]:
        seen = sign * (images.flip(-2, -1) if turned else images)
        moved, sd = _estimate(model, seen, samples, seed)
        if turned:  # what ran to the right now runs to the left
            moved, sd = -moved.flip(-2, -1), sd.flip(-2, -1)
        flow, variance = flow + moved / views, variance + sd.square() / views
    return flow, variance.sqrt()


def _estimate(
    model: UNet, images: torch.Tensor, samples: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    images = images.contiguous(memory_format=torch.channels_last)
    flow, log_variance = model(images)
    flow = flow.float()
    if samples == 0 and log_variance is None:
        return flow, torch.full_like(flow, torch.nan)
    variance = torch.zeros_like(flow)
    for sample in range(samples):
        dropout = torch.Generator().manual_seed(seed * 1_000_003 + sample)
        thinned, _ = model(images, dropout=dropout, shared=True)
        # Spread about the flow that is returned, so a shift by dropout counts as well.
        variance += (thinned.float() - flow).square() / samples
    if log_variance is not None:
        variance += log_variance.float().clamp(-8.0, 8.0).exp()
    return flow, variance.sqrt()


def _up(length: int, stride: int) -> int:
    return -(-length // stride) * stride


# By their number: whether turned by half a turn, and the sign of the wave.
_VIEWS: dict[int, tuple[tuple[bool, int], ...]] = {
    1: ((False, 1),),
    2: ((False, 1), (True, 1)),
    4: ((False, 1), (True, 1), (False, -1), (True, -1)),
}

_TYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
