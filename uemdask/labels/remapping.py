"""Read an image or a field at displaced positions.

Convention: ``warp(second, flow)(r) = second(r + flow(r))``, so with the right flow it gives back
the first frame. Flow is (2, y, x), components ``[x, y]``, px; the border is replicated.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def _positions(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = flow.shape[-2:]
    x = np.arange(columns, dtype=np.float32)[None, :] + flow[0]
    y = np.arange(rows, dtype=np.float32)[:, None] + flow[1]
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)


def remap(image: np.ndarray, flow: np.ndarray, *, cubic: bool = False) -> npt.NDArray[np.float32]:
    """Read an image at ``r + flow(r)``.

    Parameters
    ----------
    image : ndarray, (y, x) or (component, y, x)
        Image, or a field whose components are read alike.
    flow : ndarray, (2, y, x)
        Displacement in px, components ``[x, y]``, finite.
    cubic : bool
        Cubic instead of linear interpolation; for images, not for fields with jumps.

    Returns
    -------
    ndarray of float32, shape of `image`
        Border pixels are repeated outside the image; `leaves_image` tells where.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.tile(np.arange(5.0), (3, 1))
    >>> remap(ramp, np.stack([np.ones((3, 5)), np.zeros((3, 5))]))[0]
    array([1., 2., 3., 4., 4.], dtype=float32)
    """
    x, y = _positions(flow)
    kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    planes = np.asarray(image, dtype=np.float32).reshape((-1, *image.shape[-2:]))
    read = [
        cv2.remap(np.ascontiguousarray(plane), x, y, kind, borderMode=cv2.BORDER_REPLICATE)
        for plane in planes
    ]
    return np.stack(read).reshape(image.shape).astype(np.float32, copy=False)


def leaves_image(flow: np.ndarray) -> npt.NDArray[np.bool_]:
    """Tell where ``r + flow(r)`` lies outside the image.

    Parameters
    ----------
    flow : ndarray, (2, y, x)
        Displacement in px, components ``[x, y]``.

    Returns
    -------
    ndarray of bool, (y, x)

    Examples
    --------
    >>> import numpy as np
    >>> leaves_image(np.stack([np.full((1, 3), 1.0), np.zeros((1, 3))]))
    array([[False, False,  True]])
    """
    x, y = _positions(flow)
    rows, columns = flow.shape[-2:]
    inside: npt.NDArray[np.bool_] = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
    return ~inside
