"""The U-Net: two images of a wave in, one displacement per pixel out."""

from __future__ import annotations

import itertools
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import nn
from torch.nn import functional

from uemdask.errors import UemError
from uemdask.network.device import to_device
from uemdask.network.process_group import Share


class UNetConfig(BaseModel):
    """Shape of the network.

    Attributes
    ----------
    filters : tuple of int
        Channels of each level, finest first; each level halves the resolution. At most 8 levels.
    reduction : int
        Pixels per side that the first layer folds into channels. The wave has been smoothed by
        2 px, so half resolution loses nothing; it is four times faster and sees twice as far.
    dropout : float
        Share of channels dropped in the two deepest levels, for Monte-Carlo uncertainty.
    log_variance : bool
        Whether a second head states the logarithm of the variance, in px squared.
    flow_unit : float
        Displacement in px that an output of 1 stands for: of the size of usual motion.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: tuple[Annotated[int, Field(ge=1, le=2048)], ...] = Field(
        default=(16, 32, 64, 128), max_length=8
    )
    reduction: int = Field(default=2, ge=1, le=4)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    log_variance: bool = True
    flow_unit: float = Field(default=4.0, gt=0.0)

    @field_validator("filters")
    @classmethod
    def _has_two_levels(cls, filters: tuple[int, ...]) -> tuple[int, ...]:
        if len(filters) < 2:
            raise ValueError("needs at least two levels")
        return filters

    @property
    def stride(self) -> int:
        """Pixels of the input under one pixel of the deepest level."""
        return int(self.reduction * 2 ** (len(self.filters) - 1))

    @property
    def reach(self) -> int:
        """Pixels, at most, from an output to the farthest input it depends on.

        Tiles that overlap by this much give the result of the whole frame. It is a multiple of
        `stride`.
        """
        levels = len(self.filters)
        encoder = sum(2 * 2**level for level in range(levels))
        # Each decoder level: two convolutions, and one coarse pixel for the upsampling.
        decoder = sum(2 * 2**level + 2 ** (level + 1) for level in range(levels - 1))
        head = 2  # its convolution and the final upsampling
        reach = self.reduction * (encoder + decoder + head + 1)
        return int(-(-reach // self.stride) * self.stride)

    @property
    def size(self) -> int:
        """Number of weights."""
        filters, inputs = self.filters, (2 * self.reduction**2, *self.filters[:-1])
        encoder = sum(_double(*each) for each in zip(inputs, filters, strict=True))
        decoder = sum(
            _weights(deep, skip, 1) + _double(2 * skip, skip)
            for skip, deep in itertools.pairwise(filters)
        )
        return encoder + decoder + _weights(filters[0], 4 if self.log_variance else 2, 3)


def _weights(channels_in: int, channels_out: int, edge: int) -> int:
    return channels_out * (channels_in * edge**2 + 1)


def _double(channels_in: int, channels_out: int) -> int:
    return _weights(channels_in, channels_out, 3) + _weights(channels_out, channels_out, 3)


class DoubleConvolution(nn.Module):
    """Two 3 x 3 convolutions with leaky rectifiers.

    There is no normalisation layer. One over the image would make the flow at a pixel depend on
    the whole tile, and so on how the frame is cut.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features of the same size, shape (n, channels_out, y, x)."""
        images = functional.leaky_relu(self.first(images), _SLOPE, inplace=True)
        return functional.leaky_relu(self.second(images), _SLOPE, inplace=True)


class UNet(nn.Module):
    """Displacement between two images by an encoder and decoder with skip connections.

    Parameters
    ----------
    config : UNetConfig, optional
        Shape of the network.

    Notes
    -----
    After Ronneberger, Fischer and Brox (2015), doi:10.1007/978-3-319-24574-4_28. Works in
    ``torch.channels_last``, which is the fastest on a CPU.

    Examples
    --------
    >>> import torch
    >>> from uemdask.network import UNetConfig
    >>> import torch
    >>> model = UNet(UNetConfig(filters=(4, 8)))
    >>> flow, log_variance = model(torch.zeros(1, 2, 37, 50))
    >>> tuple(flow.shape)
    (1, 2, 37, 50)
    """

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        filters = config.filters
        inputs = (2 * config.reduction**2, *filters[:-1])
        self.encoder = nn.ModuleList(
            DoubleConvolution(before, after) for before, after in zip(inputs, filters, strict=True)
        )
        finest_last = list(itertools.pairwise(filters))[::-1]
        self.reduce = nn.ModuleList(nn.Conv2d(deep, skip, 1) for skip, deep in finest_last)
        self.decoder = nn.ModuleList(DoubleConvolution(2 * skip, skip) for skip, _ in finest_last)
        self.head = nn.Conv2d(filters[0], 4 if config.log_variance else 2, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        # A small head starts from no motion: the first steps are not spent on unlearning.
        nn.init.normal_(self.head.weight, std=1e-3)

    def forward(
        self,
        images: torch.Tensor,
        *,
        dropout: torch.Generator | None = None,
        shared: bool = False,
        share: Share | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the displacement that carries the first image into the second.

        Parameters
        ----------
        images : tensor, shape (n, 2, y, x)
            First and second image, normalised; any y and x.
        dropout : torch.Generator, optional
            Source of the dropped channels; nothing is dropped without it, in training mode too.
        shared : bool
            Drop the same channels for all images: one thinned network, for Monte Carlo.
        share : Share, optional
            Which crops of a batch the images are of, where other processes have others: each
            drops what it would as a part of the whole.

        Returns
        -------
        flow : tensor, shape (n, 2, y, x), px
            x and y component, ``first(r) = second(r + flow(r))``.
        log_variance : tensor, shape (n, 2, y, x), or None
            Logarithm of the variance of each component in px squared.

        Raises
        ------
        UemError
            If the input is not a batch of image pairs.
        """
        if images.ndim != 4 or images.shape[1] != 2:
            raise UemError(
                f"The network reads image pairs of shape (n, 2, y, x), not {tuple(images.shape)}."
            )
        height, width = images.shape[-2:]
        stride = self.config.stride
        # With 0, as what is unlit has: a repeated edge would be a wave that stands.
        images = functional.pad(images, (0, -width % stride, 0, -height % stride))
        if self.config.reduction > 1:
            images = functional.pixel_unshuffle(images, self.config.reduction)

        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.encoder):
            if level:
                images = functional.max_pool2d(images, 2)
            images = block(images)
            if level >= len(self.encoder) - 2:
                images = self._drop(images, dropout, shared, share)
            skips.append(images)
        images = skips.pop()
        for reduce, block in zip(self.reduce, self.decoder, strict=True):
            images = functional.interpolate(reduce(images), scale_factor=2.0, mode="nearest")
            images = block(torch.cat((skips.pop(), images), dim=1))
        images = self.head(images)
        if self.config.reduction > 1:
            images = functional.interpolate(
                images,
                scale_factor=float(self.config.reduction),
                mode="bilinear",
                align_corners=False,
            )
        images = images[..., :height, :width]
        flow = self.config.flow_unit * images[:, :2]
        return flow, images[:, 2:] if self.config.log_variance else None

    def _drop(
        self,
        features: torch.Tensor,
        dropout: torch.Generator | None,
        shared: bool,
        share: Share | None,
    ) -> torch.Tensor:
        dropped = self.config.dropout
        if dropout is None or dropped == 0.0:
            return features
        count = 1 if shared else features.shape[0]
        rows, whole = slice(None), count
        if share is not None:
            rows, whole = share.rows(count)
        # Drawn on the generator's own device, so a GPU drops the channels that a CPU does.
        drawn = torch.rand(
            (whole, features.shape[1], 1, 1), generator=dropout, device=dropout.device
        )
        keep = to_device((drawn[rows] >= dropped).to(features.dtype), features.device)
        return features * (keep / (1.0 - dropped))


#: Slope of the rectifier for negative values.
_SLOPE = 0.1
