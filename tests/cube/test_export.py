"""Taking results home, and saying what is in a run."""

import numpy as np
import pytest
import xarray as xr

from uemdask.cube import Run, describe_run, export_run, open_run
from uemdask.errors import UemError


def test_an_export_has_the_results_bit_for_bit_and_no_frames(labelled, tmp_path):
    labelled.create("wave", labelled.sizes)
    labelled.consolidate()
    size = export_run(labelled.path, tmp_path / "home" / "a.zarr")
    with xr.open_zarr(labelled.path) as whole, xr.open_zarr(tmp_path / "home" / "a.zarr") as home:
        assert set(whole.variables) - set(home.variables) == {"intensity", "wave"}
        assert home.attrs.pop("export_of") == "a"
        xr.testing.assert_identical(
            whole.drop_vars(["intensity", "wave"]).compute(), home.compute()
        )
    files = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert size == sum(file.stat().st_size for file in files)
    assert open_run(tmp_path / "home" / "a.zarr")["mask"].all()


def test_an_export_can_be_exported_and_described(labelled, tmp_path):
    export_run(labelled.path, tmp_path / "b.zarr")
    export_run(tmp_path / "b.zarr", tmp_path / "c.zarr")
    assert "not kept in this export" in describe_run(tmp_path / "c.zarr")
    assert Run(tmp_path / "c.zarr").is_export
    assert open_run(tmp_path / "c.zarr").attrs["export_of"] == "a"
    assert not labelled.is_export


def test_an_export_replaces_nothing(labelled, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UemError, match="there already"):
        export_run(labelled.path, tmp_path / "there")
    with pytest.raises(UemError, match="inside the run"):
        export_run(labelled.path, labelled.path / "export.zarr")
    with pytest.raises(UemError, match="no run"):
        export_run(tmp_path / "none.zarr", tmp_path / "out.zarr")


def test_a_failed_export_leaves_nothing(labelled, tmp_path, monkeypatch):
    import shutil

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="No space"):
        export_run(labelled.path, tmp_path / "out.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_a_run_is_described_in_words(labelled):
    ok = np.ones(20, bool)
    ok[4] = False
    flags = [""] * 20
    flags[4] = "blank: all pixels are equal"
    labelled.write("frame_ok", ok)
    labelled.write("frame_flag", flags)
    labelled.begin("train", digest="d5", parameters={})
    text = describe_run(labelled.path)
    assert "20 of 40 x 300 px, uint16, 19 usable" in text
    assert "-30 to 65 ps, 6 before zero, steps of 5 ps" in text
    assert "3 x 2.5 nm (y, x)" in text
    assert "frame 4 at -10 ps: blank" in text
    assert "metadata  sample:      Germanium, keilförmig\n" in text
    assert "metadata  temperature: 293 K\n" in text
    assert "not given: beam_energy, pump_wavelength, pump_fluence, repetition_rate" in text
    assert "train     begun, not finished" in text
    assert "missing: train, flow, feature, mode" in text
    assert f"next: uemdask run {labelled.path}" in text


def test_a_missing_run_cannot_be_described(tmp_path):
    with pytest.raises(UemError, match="no run here"):
        describe_run(tmp_path / "none.zarr")
