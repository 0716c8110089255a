"""The base model that ships with the package: small, safe to load, and better than OpenCV."""

import dataclasses

import numpy as np
import pytest
import torch

from uemdask.evaluate import score_flow, wave_flows
from uemdask.labels import grey_scale
from uemdask.network import BASE_MODEL, load_model, predict
from uemdask.simulate import scenario, simulate
from uemdask.stages.simulated_series import simulated_series

pytestmark = pytest.mark.slow


def test_it_is_half_precision_and_at_most_8_megabytes():
    assert BASE_MODEL.stat().st_size <= 8e6
    weights = torch.load(BASE_MODEL, weights_only=True)["weights"]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    model, provenance = load_model(BASE_MODEL)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert provenance["seed"] == 2026


def test_its_card_lies_beside_it():
    card = BASE_MODEL.with_suffix(".md").read_text(encoding="utf-8")
    for word in ("train_base.py", "seed", "relative endpoint error", "Limits"):
        assert word in card


@pytest.mark.parametrize("name", ["plane", "ring", "dim", "missing_delays"])
def test_on_waves_it_has_not_seen_it_beats_opencv(name):
    drawn = scenario(name, seed=4242, shape=(160, 160), frames=60)
    series = simulated_series(
        simulate(dataclasses.replace(drawn, hot_pixels=0)),
        centre=drawn.frequency,
        smoothing=2.0,
        window=1.0,
        directional="none",
        name=name,
    )
    present = series.confidence.any(axis=(1, 2))
    model, _ = load_model(BASE_MODEL)
    flow, sd = predict(
        model,
        series.wave[series.frame_from],
        series.wave[series.frame_to],
        scale=series.scale,
        overlap=64,
    )
    truth = series.label.astype(np.float32)
    network = score_flow(flow, truth, series.mask, present)
    pairs = zip(series.frame_from, series.frame_to, strict=True)
    length = drawn.speed / drawn.frequency * 1e3 / drawn.pixel_size[0]
    scale = grey_scale(series.wave, series.mask)
    opencv = score_flow(
        wave_flows(series.wave, pairs, scale=scale, wavelength=length, method="dis"),
        truth,
        series.mask,
        present,
    )
    assert network.epe_relative < 0.5 * opencv.epe_relative
    assert np.isfinite(sd).all()
