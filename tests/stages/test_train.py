"""What a training holds in memory, tells, and goes on from."""

import json

import pytest

from uemdask.errors import UemError
from uemdask.network import UNet, UNetConfig, save_model
from uemdask.network.checkpoint import load_checkpoint
from uemdask.stages import train, training_data
from uemdask.stages.train import TrainParameters, train_model
from uemdask.stages.training_history import History, history_path

pytestmark = pytest.mark.slow

QUICK = TrainParameters.model_validate(
    {
        "unet": {"filters": [4, 8]},
        "training": {
            "pretrain_steps": 6,
            "finetune_steps": 0,
            "crop": 32,
            "batch": 2,
            "record_every": 2,
            "checkpoint_every": 1e-9,
        },
        "exact_share": 0,
    }
)


@pytest.fixture
def blocks(monkeypatch):
    """Make blocks so small that the run has many."""
    monkeypatch.setattr(training_data, "_BLOCK", 64)


def _bytes(series):
    return sum(each.wave.nbytes + each.label.nbytes + each.confidence.nbytes for each in series)


def test_a_run_that_fits_is_taken_whole(waving):
    (series,) = training_data._load([waving], 2**30)
    assert series.wave.shape == (20, 300, 280)
    assert series.label.dtype == "float16"
    assert (series.label == 5).all()
    assert (series.confidence == 255).all()


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_memory_is_kept_however_many_the_runs(waving, blocks, count):
    memory = 4e6
    series = training_data._load([waving] * count, memory)
    assert 0.3 * memory < _bytes(series) <= memory
    # No slivers from the edges of the frame, and every block has relevant pixels.
    assert {each.mask.shape for each in series} == {(64, 64)}
    assert all(each.mask.any() for each in series)


def test_blocks_lie_all_over_the_relevant_pixels(waving, blocks):
    chosen = training_data._parts(waving, 3e6)
    tops = {region.span("y", 0)[0] for region in chosen}
    assert len(chosen) == 5
    assert min(tops) == 0
    assert max(tops) >= 128


def _trained(run, model, parameters=QUICK):
    return train_model([run], model, parameters, start="new", digest="digest")


def _history(model):
    return [json.loads(line) for line in history_path(model).read_text().splitlines()]


class _Killed(BaseException):
    """Stands for a signal."""


@pytest.fixture
def interrupted(waving, tmp_path, monkeypatch):
    """Return the model of a training that was killed after four steps, and its checkpoint."""
    add = History.add

    def kill(self, entry):
        add(self, entry)
        if entry["step"] == 4:
            raise _Killed

    model = tmp_path / "model.pt"
    with monkeypatch.context() as patch:
        patch.setattr(History, "add", kill)
        with pytest.raises(_Killed):
            _trained(waving, model)
    checkpoint = tmp_path / "model.digest.checkpoint"
    assert load_checkpoint(checkpoint)["step"] == 3
    return model, checkpoint


def test_the_history_tells_all_that_a_monitor_shows(waving, tmp_path):
    model = tmp_path / "model.pt"
    record = _trained(waving, model)
    start, *entries = _history(model)
    assert (start["phase"], start["processes"], start["threads"]) == ("start", 1, record["threads"])
    assert [entry["step"] for entry in entries] == [2, 4, 6]
    wanted = {"phase", "step", "loss", "images_per_second", "seconds_left", "device", "threads"}
    assert all(wanted <= set(entry) for entry in entries)
    assert {entry["device"] for entry in entries} == {record["device"]}
    assert not list(tmp_path.glob("*.checkpoint"))


def test_a_training_goes_on_and_its_history_is_whole(waving, interrupted, tmp_path):
    model, _ = interrupted
    digest = _trained(waving, model)["model_digest"]
    assert [entry.get("step") for entry in _history(model)] == [None, 2, 4, 6]
    assert digest == _trained(waving, tmp_path / "undisturbed.pt")["model_digest"]


def test_a_training_that_has_ended_is_not_done_again(waving, tmp_path, monkeypatch):
    """Its worker or driver was lost between the last step and the record of it."""
    model = tmp_path / "model.pt"
    record = _trained(waving, model)

    def again(*arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "train_on", again)
    checkpoint = tmp_path / "model.digest.checkpoint"
    checkpoint.write_bytes(b"")
    assert _trained(waving, model) == record
    assert not checkpoint.exists()
    with pytest.raises(AssertionError, match="trained again"):
        train_model([waving], model, QUICK, start="new", digest="another")


def test_a_damaged_checkpoint_is_dropped_and_said(waving, interrupted, tmp_path):
    model, checkpoint = interrupted
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    digest = _trained(waving, model)["model_digest"]
    notice = _history(model)[0]["notice"]
    assert "starts anew" in notice
    assert checkpoint.name in notice
    assert digest == _trained(waving, tmp_path / "undisturbed.pt")["model_digest"]


def test_what_is_no_checkpoint_is_refused_and_kept(waving, tmp_path):
    model, checkpoint = tmp_path / "model.pt", tmp_path / "model.digest.checkpoint"
    save_model(checkpoint, UNet(UNetConfig(filters=(4, 8))))
    with pytest.raises(UemError, match="not a checkpoint"):
        _trained(waving, model)
    assert checkpoint.exists()


def test_what_does_not_change_the_network_does_not_change_its_training():
    told = {"record_every": 7, "checkpoint_every": 9.0}
    other = QUICK.model_copy(
        update={"processes": 2, "training": QUICK.training.model_copy(update=told)}
    )
    assert other.decisive() == QUICK.decisive()
    assert QUICK.decisive()["training"]["seed"] == 0
    seed = QUICK.model_copy(update={"training": QUICK.training.model_copy(update={"seed": 1})})
    assert seed.decisive() != QUICK.decisive()
