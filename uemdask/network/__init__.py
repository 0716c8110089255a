"""The network: shape, losses, training, inference. Arrays in, arrays out."""

from uemdask.network.amplitude import normalise, wave_scale
from uemdask.network.base_model import BASE_MODEL
from uemdask.network.calibration import Calibration, calibrate, calibration_pairs
from uemdask.network.checkpoint import load_model, model_digest, save_model
from uemdask.network.dataset import BatchSource, Crops, MixedSource, Series, SeriesSource
from uemdask.network.device import choose_device, choose_devices
from uemdask.network.guard import held_out_error
from uemdask.network.inference import predict
from uemdask.network.processes import train_on
from uemdask.network.training import TrainingResult, train
from uemdask.network.training_config import TrainingConfig, choose_baselines
from uemdask.network.training_job import Job
from uemdask.network.unet import UNet, UNetConfig

__all__ = [
    "BASE_MODEL",
    "BatchSource",
    "Calibration",
    "Crops",
    "Job",
    "MixedSource",
    "Series",
    "SeriesSource",
    "TrainingConfig",
    "TrainingResult",
    "UNet",
    "UNetConfig",
    "calibrate",
    "calibration_pairs",
    "choose_baselines",
    "choose_device",
    "choose_devices",
    "held_out_error",
    "load_model",
    "model_digest",
    "normalise",
    "predict",
    "save_model",
    "train",
    "train_on",
    "wave_scale",
]
