"""Training learns more than its labels say, can be killed anywhere, and never ends worse."""

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from uemdask.errors import UemError
from uemdask.network.augmentation import AugmentationConfig
from uemdask.network.checkpoint import load_checkpoint
from uemdask.network.dataset import Crops, Series, SeriesSource
from uemdask.network.guard import held_out_error
from uemdask.network.training import _Training, train
from uemdask.network.training_config import TrainingConfig
from uemdask.network.unet import UNet, UNetConfig

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
SIZE, TIMES, WAVELENGTH, STEP = 48, 10, 16.0, 2.0
TINY = UNetConfig(filters=(6, 12, 12), dropout=0.1, flow_unit=2.0)
SHORT = TrainingConfig(
    crop=32,
    batch=4,
    pretrain_steps=8,
    finetune_steps=6,
    warmup_steps=2,
    baselines=(1, 2),
    record_every=3,
    checkpoint_every=1e-9,
    augmentation=AugmentationConfig(noise=0.1),
)


def travelling_wave(label_noise: float = 0.0, seed: int = 0) -> tuple[Series, np.ndarray]:
    """Return a series of one plane wave with its labels, and the true flow (2, y, x)."""
    rng = np.random.default_rng(seed)
    t, y, x = np.ogrid[:TIMES, :SIZE, :SIZE]
    angle = math.radians(30)
    along = math.cos(angle) * x - math.sin(angle) * y
    wave = np.sqrt(2) * np.cos(2 * np.pi * (along - STEP * t) / WAVELENGTH)
    truth = np.empty((2, SIZE, SIZE), dtype=np.float32)
    truth[0], truth[1] = STEP * math.cos(angle), -STEP * math.sin(angle)
    label = np.broadcast_to(truth, (TIMES - 1, 2, SIZE, SIZE)).copy()
    # Noise in patches of 8 px, as wide as that of an optical flow.
    patches = rng.normal(0, label_noise, (TIMES - 1, 2, SIZE // 8, SIZE // 8))
    label += patches.repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)
    series = Series(
        wave=wave.astype(np.float16),
        scale=1.0,
        label=label.astype(np.float16),
        confidence=np.full((TIMES - 1, SIZE, SIZE), 255, dtype=np.uint8),
        mask=np.ones((SIZE, SIZE), dtype=bool),
        frame_from=np.arange(TIMES - 1),
        frame_to=np.arange(1, TIMES),
    )
    return series, truth


def exact_crops(series: Series, truth: np.ndarray) -> Crops:
    frames = np.stack([series.wave[:-1], series.wave[1:]], axis=1).astype(np.float32)
    count = len(frames)
    return Crops(
        torch.from_numpy(frames),
        torch.from_numpy(truth).expand(count, 1, *truth.shape),
        torch.ones(count, 1, SIZE, SIZE),
        torch.ones(count, SIZE, SIZE),
    )


def weights(model: UNet) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(one: UNet, other: UNet) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=0)


def untimed(history: list[dict]) -> list[dict]:
    """Return a history without how long it took."""
    clock = ("images_per_second", "seconds_left")
    return [{name: e[name] for name in e if name not in clock} for e in history]


#: One wave in one direction is learned in seconds; turning it would ask for more steps.
STRAIGHT = AugmentationConfig(turn=False, reverse=False)


class Killed(BaseException):
    """Stands for a signal: nothing in the code may catch it."""


@pytest.mark.parametrize("step", [3, 8, 11])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, step):
    source = SeriesSource([travelling_wave(0.5)[0]])
    whole = train(source, SHORT, TINY)

    calls = 0

    def kill() -> bool:
        nonlocal calls
        calls += 1
        if calls == step + 1:  # one step after the checkpoint that is gone on from
            raise Killed
        return False

    with pytest.raises(Killed):
        train(source, SHORT, TINY, checkpoint=tmp_path / "state.pt", should_stop=kill)
    # The global random state is another one in a new process.
    torch.manual_seed(999)
    np.random.default_rng(999).random()
    resumed = train(source, SHORT, TINY, checkpoint=tmp_path / "state.pt")
    assert calls == step + 1
    assert resumed.finished
    assert resumed.step == 14
    assert untimed(resumed.history) == untimed(whole.history)
    assert_equal(resumed.model, whole.model)


def test_a_stop_on_request_is_clean_and_a_finished_training_stays(tmp_path):
    source = SeriesSource([travelling_wave(0.5)[0]])
    config = SHORT.model_copy(update={"checkpoint_every": 1e9})
    path = tmp_path / "state.pt"
    partly = train(source, config, TINY, checkpoint=path, should_stop=lambda: True)
    assert (partly.step, partly.finished) == (1, False)
    done = train(source, config, TINY, checkpoint=path)
    assert (done.step, done.finished) == (14, True)
    again = train(source, config, TINY, checkpoint=path)
    assert again.history == done.history
    assert_equal(again.model, done.model)


def test_another_seed_is_another_training():
    source = SeriesSource([travelling_wave(0.5)[0]])
    config = SHORT.model_copy(update={"finetune_steps": 0, "pretrain_steps": 2})
    one, other = (
        train(source, config.model_copy(update={"seed": seed}), TINY).model for seed in (0, 1)
    )
    assert not torch.equal(one.head.weight, other.head.weight)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    source = SeriesSource([travelling_wave()[0]])
    path = tmp_path / "state.pt"
    train(source, SHORT, TINY, checkpoint=path, should_stop=lambda: True)
    other = SHORT.model_copy(update={"pretrain_rate": 1e-5})
    with pytest.raises(UemError, match=r"pretrain_rate = 0\.002"):
        train(source, other, TINY, checkpoint=path)
    with pytest.raises(UemError, match="filters"):
        train(source, SHORT, UNetConfig(filters=(4, 4)), checkpoint=path)


def test_the_network_is_better_than_the_labels_it_learned_from():
    series, truth = travelling_wave(label_noise=0.8)
    label_error = float(np.linalg.norm(series.label.astype(np.float32) - truth, axis=1).mean())
    config = TrainingConfig(
        crop=48,
        batch=6,
        pretrain_steps=120,
        finetune_steps=0,
        pretrain_rate=6e-3,
        augmentation=STRAIGHT,
    )
    result = train(SeriesSource([series]), config, TINY)
    error = held_out_error(result.model, exact_crops(series, truth))
    assert label_error > 0.9  # px
    assert error < 0.35 * label_error


def test_fine_tuning_mends_labels_that_are_too_short():
    """The images, not the labels, decide the speed."""
    series, truth = travelling_wave()
    short = Series(
        **{
            name: getattr(series, name)
            for name in ("wave", "scale", "confidence", "mask", "frame_from", "frame_to")
        },
        label=(0.75 * series.label).astype(np.float16),
    )
    config = TrainingConfig(
        crop=48,
        batch=6,
        pretrain_steps=100,
        finetune_steps=80,
        pretrain_rate=6e-3,
        finetune_rate=3e-3,
        anchor=0.01,
        baselines=(2, 3),
        augmentation=STRAIGHT,
    )
    exact = exact_crops(series, truth)
    result = train(SeriesSource([short]), config, TINY, held_out=exact)
    verdict = result.history[-1]
    assert verdict["kept"] == "finetuned"
    assert verdict["pretrained_error"] > 0.15 * STEP
    assert verdict["finetuned_error"] < 0.5 * verdict["pretrained_error"]
    assert held_out_error(result.model, exact) == pytest.approx(verdict["finetuned_error"])


def test_the_guard_goes_back_when_fine_tuning_ruins_the_flow():
    series, truth = travelling_wave()
    # Losses that only ask for no motion at all.
    config = TrainingConfig(
        crop=48,
        batch=6,
        pretrain_steps=60,
        finetune_steps=20,
        pretrain_rate=6e-3,
        finetune_rate=1e-2,
        photometric=0.0,
        gradient=0.0,
        anchor=0.0,
        smoothness=100.0,
        consistency=100.0,
        baselines=(1,),
        augmentation=STRAIGHT,
    )
    exact = exact_crops(series, truth)
    result = train(SeriesSource([series]), config, TINY, held_out=exact)
    verdict = result.history[-1]
    assert verdict["kept"] == "pretrained"
    assert verdict["finetuned_error"] > verdict["pretrained_error"]
    assert held_out_error(result.model, exact) == pytest.approx(verdict["pretrained_error"])


def test_training_can_start_from_a_model_and_leaves_it_as_it_was():
    source = SeriesSource([travelling_wave()[0]])
    base = UNet(TINY)
    before = weights(base)
    config = SHORT.model_copy(update={"pretrain_steps": 0, "finetune_steps": 1})
    result = train(source, config, start=base)
    for name, value in before.items():
        assert torch.equal(base.state_dict()[name], value)
    change = (result.model.head.weight - base.head.weight).abs().max()
    assert 0 < float(change.detach()) < 0.01


def test_the_report_tells_the_loss_the_speed_and_the_time_left():
    entries: list[dict] = []
    result = train(SeriesSource([travelling_wave()[0]]), SHORT, TINY, report=entries.append)
    assert entries == result.history
    assert [entry["step"] for entry in entries] == [3, 6, 8, 9, 12, 14]
    assert [entry["phase"] for entry in entries] == ["pretrain"] * 3 + ["finetune"] * 3
    assert all(entry["images_per_second"] > 0 for entry in entries)
    assert all(entry["seconds_left"] > 0 for entry in entries[:-1])
    assert entries[-1]["seconds_left"] == 0
    assert {entry["steps"] for entry in entries} == {14}
    for entry in entries:
        parts = set(entry) - {"step", "steps", "phase", "loss", "images_per_second", "seconds_left"}
        assert entry["loss"] == pytest.approx(sum(entry[name] for name in parts))


def test_a_loss_that_is_not_finite_stops_the_training_and_leaves_no_checkpoint(tmp_path):
    start = UNet(TINY)
    with torch.no_grad():
        start.head.bias.fill_(torch.nan)
    checkpoint = tmp_path / "state.pt"
    source = SeriesSource([travelling_wave()[0]])
    with pytest.raises(UemError, match="not finite"):
        train(source, SHORT, start=start, checkpoint=checkpoint)
    assert not checkpoint.exists()


def test_there_is_a_checkpoint_at_the_end_of_each_phase(tmp_path, monkeypatch):
    # However slow the machine is, there is none between.
    monkeypatch.setattr("uemdask.network.training._SOONEST", 1e9)
    config = SHORT.model_copy(update={"checkpoint_every": 1e9})
    checkpoint, seen = tmp_path / "state.pt", []

    def look() -> bool:
        seen.append(load_checkpoint(checkpoint)["step"] if checkpoint.exists() else 0)
        return False

    source = SeriesSource([travelling_wave()[0]])
    train(source, config, TINY, checkpoint=checkpoint, should_stop=look)
    assert seen == [0] * 8 + [8] * 6
    assert load_checkpoint(checkpoint)["step"] == 14


class _Waits(TorchDispatchMode):
    """Notes copies to the device for which the host would wait until all its work is done."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor) and out.is_meta:
            copied = any(isinstance(a, torch.Tensor) and a.is_cpu and a.ndim for a in args)
            if copied and not kwargs.get("non_blocking"):
                self.found.append(str(func))
        return out


@pytest.mark.parametrize("step", [0, 9])
def test_a_step_never_waits_for_the_device(step):
    """Tensors on the device "meta" have no values: whatever looked at one would fail."""
    config = SHORT.model_copy(update={"augmentation": AugmentationConfig(noise=0.1)})
    training = _Training(config, UNet(TINY), "meta")
    training.step = step
    source = SeriesSource([travelling_wave()[0]], "meta")
    with _Waits() as waits:
        training.advance(source)
        training.advance(source)
    assert waits.found == []


def test_waiting_for_the_device_would_be_seen():
    with _Waits() as waits:
        torch.ones(3).to("meta")
    assert waits.found
    with pytest.raises(RuntimeError):
        float(torch.ones((), device="meta"))


@pytest.mark.parametrize("crops_on", ["cpu", "meta"])
def test_no_step_mixes_processors(monkeypatch, crops_on):
    # "meta" computes nothing, but refuses what is elsewhere, as a GPU does.
    monkeypatch.setattr("uemdask.network.training.weights_of", lambda model: {})
    batches = SeriesSource([travelling_wave()[0]], crops_on)
    training = _Training(SHORT.model_copy(update={"pretrain_steps": 1}), UNet(TINY), "meta")
    for names in (["supervised"], ["photometric", "gradient", "smoothness", "aperture"]):
        training.advance(batches)
        assert training._names[: len(names)] == names
        assert training._smoothed.is_meta
