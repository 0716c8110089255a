"""The network: shape, losses, training, inference. Arrays in, arrays out."""

from uemdask.network.amplitude import normalise, wave_scale
from uemdask.network.base import BASE_MODEL
from uemdask.network.calibration import Calibration, calibrate
from uemdask.network.checkpoint import load_model, model_digest, save_model
from uemdask.network.device import choose_device
from uemdask.network.inference import predict
from uemdask.network.samples import Batch, BatchSource, MixedSource, Series, SeriesSource
from uemdask.network.schedule import TrainingConfig, choose_baselines
from uemdask.network.training import TrainingResult, held_out_error, train
from uemdask.network.unet import UNet, UNetConfig

__all__ = [
    "BASE_MODEL",
    "Batch",
    "BatchSource",
    "Calibration",
    "MixedSource",
    "Series",
    "SeriesSource",
    "TrainingConfig",
    "TrainingResult",
    "UNet",
    "UNetConfig",
    "calibrate",
    "choose_baselines",
    "choose_device",
    "held_out_error",
    "load_model",
    "model_digest",
    "normalise",
    "predict",
    "save_model",
    "train",
    "wave_scale",
]
