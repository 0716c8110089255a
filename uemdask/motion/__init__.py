"""From displacement in px to speed in nm/ps, angle in degrees, and where they mean something."""

from uemdask.cube.rounding import round_flow, round_mantissa
from uemdask.motion.fusion import LabelError, fuse, label_error
from uemdask.motion.kinematics import (
    along_pixel_normal,
    angle_of,
    physical_displacement,
    speed_and_angle,
    speed_and_angle_sd,
)
from uemdask.motion.validity import (
    DISAGREEMENT_LIMIT,
    FIELD_LIMIT,
    disagreement,
    invalid_reason,
)

__all__ = [
    "DISAGREEMENT_LIMIT",
    "FIELD_LIMIT",
    "LabelError",
    "along_pixel_normal",
    "angle_of",
    "disagreement",
    "fuse",
    "invalid_reason",
    "label_error",
    "physical_displacement",
    "round_flow",
    "round_mantissa",
    "speed_and_angle",
    "speed_and_angle_sd",
]
