"""Model files hold plain tensors, come back exactly, and are replaced all at once."""

import os
import resource
import zipfile

import pytest
import torch

from uemdask.errors import UemError
from uemdask.network.checkpoint import (
    load_checkpoint,
    load_model,
    model_digest,
    save_checkpoint,
    save_model,
)
from uemdask.network.unet import UNet, UNetConfig


def small(seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(UNetConfig(filters=(4, 8), dropout=0.2))


def test_half_precision_halves_the_file_and_keeps_the_weights_to_a_thousandth(tmp_path):
    torch.manual_seed(0)
    model = UNet(UNetConfig(filters=(16, 32)))
    save_model(tmp_path / "full.pt", model)
    save_model(tmp_path / "half.pt", model, half=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("full.pt", "half.pt")]
    assert sizes[1] < 0.6 * sizes[0]
    again, _ = load_model(tmp_path / "half.pt")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)


def test_another_model_in_the_same_file_has_another_digest(tmp_path):
    path = tmp_path / "wave.pt"
    digests = [save_model(path, small(seed)) for seed in (0, 1, 0)]
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


def test_a_model_comes_back_exactly_with_its_origin(tmp_path):
    model = small().to(memory_format=torch.channels_last)
    save_model(tmp_path / "models" / "wave.pt", model, provenance={"runs": ["a", "b"], "seed": 3})
    again, provenance = load_model(tmp_path / "models" / "wave.pt")
    assert again.config == model.config
    assert provenance == {"runs": ["a", "b"], "seed": 3}
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)


def test_the_digest_is_of_the_network_and_not_of_the_file(tmp_path):
    digest = save_model(tmp_path / "a.pt", small(), provenance={"note": "first"})
    same = save_model(tmp_path / "b.pt", small().to(memory_format=torch.channels_last))
    other = save_model(tmp_path / "c.pt", small(seed=1))
    assert digest == same == model_digest(tmp_path / "a.pt")
    assert digest != other
    assert len(digest) == 16


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    save_checkpoint(path, {"step": 1})

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UemError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


def test_nothing_in_a_file_is_executed(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    torch.save({"format": 1, "step": Harm()}, tmp_path / "evil.pt")
    with pytest.raises(UemError, match="not a model"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "harm").exists()


def test_a_missing_damaged_or_foreign_file_is_named(tmp_path):
    with pytest.raises(UemError, match="no such model file"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UemError, match=r"text\.pt: this is not a model"):
        load_checkpoint(tmp_path / "text.pt")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(UemError, match="not a model"):
        load_checkpoint(tmp_path / "empty.pt")
    save_model(tmp_path / "good.pt", small())
    whole = (tmp_path / "good.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UemError, match="damaged"):
        load_model(tmp_path / "cut.pt")
    torch.save({"weights": 1}, tmp_path / "foreign.pt")
    with pytest.raises(UemError, match="not written by uemdask"):
        load_checkpoint(tmp_path / "foreign.pt")
    torch.save({"format": 99, "version": "9.9"}, tmp_path / "later.pt")
    with pytest.raises(UemError, match=r"file format 99 .*9\.9"):
        load_checkpoint(tmp_path / "later.pt")
    save_checkpoint(tmp_path / "state.pt", {"step": 3})
    with pytest.raises(UemError, match="holds no network"):
        load_model(tmp_path / "state.pt")


@pytest.mark.parametrize(
    "filters", [[10**6, 10**6], [2048] * 8, [4] * 10**6, [10**30, 4], [-4, 4], "many", None],
    ids=lambda filters: repr(filters)[:12],
)  # fmt: skip
def test_a_network_of_absurd_size_takes_no_memory(tmp_path, filters):
    save_model(tmp_path / "a.pt", UNet(UNetConfig(filters=(4, 8))))
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    content["unet"]["filters"] = filters
    torch.save(content, tmp_path / "a.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UemError, match="holds no network"):
        load_model(tmp_path / "a.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_weights_that_are_few_values_repeated_are_refused(tmp_path):
    save_model(tmp_path / "a.pt", UNet(UNetConfig(filters=(4, 8))))
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    content["weights"] = {
        name: torch.zeros(()).expand(tensor.shape) for name, tensor in content["weights"].items()
    }
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UemError, match="holds no network"):
        load_model(tmp_path / "a.pt")


def test_a_packed_file_is_not_unpacked(tmp_path):
    save_model(tmp_path / "a.pt", UNet(UNetConfig(filters=(4, 8))))
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as whole,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(UemError, match="not a model"):
        load_model(tmp_path / "b.pt")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(UemError, match="not a model"):
        load_model(tmp_path / "a.pt")
