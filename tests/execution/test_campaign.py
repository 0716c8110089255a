"""Campaign files: what people write, and what becomes of it."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.cube import create_run
from uemdask.errors import FaultsError, UemError
from uemdask.execution import (
    merge_settings,
    plan_campaign,
    plan_ingest,
    plan_runs,
    read_campaign,
)
from uemdask.stages.ingest import IngestParameters


@pytest.fixture
def folder(tmp_path):
    """Three raw folders, a stack and a store, with nothing in them."""
    for name in ("raw/a", "raw/b", "raw/c", "old.zarr"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "stack.tif").touch()
    (tmp_path / "old.zarr" / "zarr.json").touch()
    return tmp_path


@pytest.fixture
def read(folder):
    def read(text, **options):
        file = folder / "ge.yaml"
        file.write_text(text, encoding="utf-8")
        return read_campaign(file, **options)

    return read


def test_globs_give_one_run_each_in_order(read, folder):
    plan = read("runs:\n  - raw: raw/*\n")
    assert plan.name == "ge"
    assert [run.name for run in plan.runs] == ["a", "b", "c"]
    assert [run.store for run in plan.runs] == [folder / f"results/{n}.zarr" for n in "abc"]
    assert [run.parameters.ingest.raw for run in plan.runs] == [
        str(folder / "raw" / name) for name in "abc"
    ]


def test_globs_pass_over_what_servers_and_systems_leave(read, folder):
    for name in ("@eaDir", ".AppleDouble", "#recycle", "__MACOSX"):
        (folder / "raw" / name / "a").mkdir(parents=True)
    for name in ("._a", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (folder / "raw" / name).touch()
    plan = read("runs:\n  - raw: raw/*\n")
    assert [run.name for run in plan.runs] == ["a", "b", "c"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_a_campaign_mean_files_in_either_form(read, folder, form):
    spelled = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "Brücke")
    (folder / "raw" / spelled).mkdir()
    for name in (f"{spelled}.tif", f"{spelled}.csv"):
        (folder / name).write_text("frame,x,y\n0,0,0\n")
    name = unicodedata.normalize(form, "Brücke")
    (run,) = read(
        f"parameters:\n"
        f"  feature: {{masks: {{m: {name}.tif}}}}\n"
        f"  align: {{drift_table: {name}.csv}}\n"
        f"runs:\n  - raw: raw/{name[:-1]}*\n    delays: {name}.csv\n"
    ).runs
    assert run.parameters.ingest.raw == str(folder / "raw" / spelled)
    assert run.parameters.ingest.delays == str(folder / f"{spelled}.csv")
    assert run.parameters.feature.masks == {"m": str(folder / f"{spelled}.tif")}
    assert run.parameters.align.drift_table == str(folder / f"{spelled}.csv")


def test_folders_of_one_name_are_told_apart_by_those_above(tmp_path):
    for name in ("mon/raw", "tue/raw", "wed/a/Ge 0.5 mJ – Größe", "wed/a/raw.d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "wed" / "flake.ome.tif").touch()
    entries = [{"raw": "*/raw/"}, {"raw": "wed/a/*"}, {"raw": "wed/flake.ome.tif"}]
    plan = plan_campaign({"runs": entries}, name="x", folder=tmp_path)
    names = ["mon_raw", "tue_raw", "Ge 0.5 mJ – Größe", "raw.d", "flake"]
    assert [run.name for run in plan.runs] == names
    assert [run.store.name for run in plan.runs] == [f"{name}.zarr" for name in names]
    assert plan_runs([tmp_path / "mon" / "raw" / ".."]).runs[0].name == "mon"


def test_a_folder_of_acquisitions_named_from_within(tmp_path, monkeypatch):
    (tmp_path / "mon" / "raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "mon" / "raw")
    assert [run.name for run in plan_runs([Path(".")]).runs] == ["raw"]
    assert [run.name for run in plan_runs([Path("..")]).runs] == ["mon"]


def test_stores_and_stacks_are_runs_too(read, folder):
    plan = read("output: out\nruns:\n  - run: old.zarr\n  - raw: stack.tif\n")
    assert [run.name for run in plan.runs] == ["old", "stack"]
    assert [run.store for run in plan.runs] == [folder / "old.zarr", folder / "out/stack.zarr"]
    assert plan.runs[0].parameters.ingest.raw == ""


def test_brackets_in_names_are_no_patterns(tmp_path):
    folder = tmp_path / "Ge [111]"
    (folder / "run [1]").mkdir(parents=True)
    (folder / "run 2").mkdir()
    both = {"runs": [{"raw": "run [1]"}, {"raw": "run ?"}]}
    plan = plan_campaign(both, name="x", folder=folder)
    assert [run.name for run in plan.runs] == ["run [1]", "run 2"]


def test_defaults_hold_where_a_run_does_not_say_otherwise(read):
    plan = read(
        "defaults: {pixel_size: 3 nm, offset: 100, metadata: {sample: Ge, operator: Jo}}\n"
        "rois: [{name: all, mask: mask}]\n"
        "runs:\n"
        "  - raw: raw/a\n"
        "  - {raw: raw/b, pixel_size: 2 nm, time_zero: 12 ps, offset: 0, metadata: {sample: Si},\n"
        "     rois: [{name: mine, mask: mask}]}\n"
    )
    first, second = (run.parameters for run in plan.runs)
    assert first.ingest.pixel_size == "3 nm"
    assert first.ingest.metadata == {"sample": "Ge", "operator": "Jo"}
    assert (first.ingest.offset, second.ingest.offset) == ("100", "0")
    assert [roi["name"] for roi in first.feature.rois] == ["all"]
    assert (second.ingest.pixel_size, second.ingest.time_zero) == ("2 nm", "12 ps")
    assert second.ingest.metadata == {"sample": "Si", "operator": "Jo"}
    assert [roi["name"] for roi in second.feature.rois] == ["all", "mine"]


def test_files_are_looked_for_beside_the_campaign(read, folder, monkeypatch):
    monkeypatch.chdir("/")
    (folder / "log.csv").write_text("delay_ps\n1\n")
    (folder / "left.tif").touch()
    plan = read(
        "runs:\n  - {raw: raw/a, delays: log.csv}\n  - {raw: raw/b, delays: '-30:50:5'}\n"
        "parameters: {feature: {masks: {left: left.tif}}}\n"
    )
    assert plan.runs[0].parameters.ingest.delays == str(folder / "log.csv")
    assert plan.runs[1].parameters.ingest.delays == "-30:50:5"
    assert plan.runs[0].parameters.feature.masks == {"left": str(folder / "left.tif")}


def test_a_plan_of_delays_needs_no_quotes(read):
    plan = read("runs:\n  - raw: raw/a\n    delays: -30:50:5\n")
    assert plan.runs[0].parameters.ingest.delays == "-30:50:5"


def test_what_is_given_on_the_command_line_wins(read, folder, monkeypatch):
    monkeypatch.chdir(folder)
    plan = read(
        "output: out\nmodel: new\nparameters: {label: {base: true, methods: [phase]}}\n"
        "runs: [{raw: raw/a}]\n",
        output=Path("elsewhere"),
        model="m.pt",
        parameters={"label": {"base": False}},
    )
    assert plan.output == folder / "elsewhere"
    assert plan.model == str(folder / "m.pt")
    assert plan.runs[0].parameters.label.base is False
    assert plan.runs[0].parameters.label.methods == ("phase",)


def test_training_starts_from_the_base_model_unless_told_otherwise(read, folder):
    assert read("runs: [{raw: raw/a}]\n").start == "base"
    assert read("model: new\nruns: [{raw: raw/a}]\n").start == "new"
    named = read("model: m.pt\nruns: [{raw: raw/a}]\n")
    assert named.start is None
    assert named.model == str(folder / "m.pt")


def test_the_base_model_has_its_own_network(read):
    unet = "parameters: {train: {unet: {filters: [8, 16]}}}\nruns: [{raw: raw/a}]\n"
    with pytest.raises(FaultsError, match="model 'new'"):
        read(unet)
    assert read("model: new\n" + unet).start == "new"


# ---- faults


def test_all_unknown_keys_and_wrong_values_are_listed_with_their_place(read):
    with pytest.raises(FaultsError) as caught:
        read(
            "runs:\n  - {raw: raw/a, pixelsize: 3 nm}\nouput: x\none_model: some\n"
            "parameters: {label: {base: perhaps}, spectra: {}}\n"
        )
    assert "ge.yaml" in caught.value.subject
    places = [fault.split(": ")[0] for fault in caught.value.faults]
    assert places == [
        "line 2, runs.0.pixelsize",
        "line 3, ouput",
        "line 4, one_model",
        "line 5, parameters.label.base",
        "line 5, parameters.spectra",
    ]


def test_faults_of_every_kind_are_told_in_one_round(read, folder):
    (folder / "log.csv").write_text("delay_ps\n1\n")
    with pytest.raises(FaultsError) as caught:
        read(
            "runs:\n"
            "  - raw: raw/a\n"
            "    colour: red\n"
            "    delays: nothing.csv\n"
            "    time_zero: 12 nm\n"
            "    pixel_size: 3 ps\n"
            "  - {raw: raw/b, delays: '1:2', metadata: {beam_energy: 200 nm, sample: Ge}}\n"
            "  - raw: gone\n"
            "  - {raw: raw/c, rois: [{name: a, rectangle: {x: [9, 0], y: [0, 9]}}]}\n"
            "  - {run: old.zarr, scan: 2}\n"
            "  - 3\n"
            "defaults: {delays: log.csv, time_zero: soon, offset: 3 nm}\n"
            "rois:\n"
            "  - {name: ring, circle: 3}\n"
            "  - {name: left, mask: lft}\n"
            "parameters:\n"
            "  spectrum: {band: [40, 30], window: wide}\n"
            "  feature: {masks: {lift: none.tif}}\n"
            "  align: {drift_table: none.csv}\n"
            "one_model: some\n"
        )
    assert [fault.split(": ")[0] for fault in caught.value.faults] == [
        "line 3, runs.0.colour",
        "line 4, runs.0.delays",
        "line 5, runs.0.time_zero",
        "line 6, runs.0.pixel_size",
        "line 7, runs.1.delays",
        "line 7, runs.1.metadata.beam_energy",
        "line 8, runs.2.raw",
        "line 9, runs.3.rois.0.rectangle.x",
        "line 10, runs.4.scan",
        "line 11, runs.5",
        "line 12, defaults.time_zero",
        "line 12, defaults.offset",
        "line 14, rois.0.circle",
        "line 15, rois.1.mask",
        "line 17, parameters.spectrum.band",
        "line 17, parameters.spectrum.window",
        "line 18, parameters.feature.masks.lift",
        "line 19, parameters.align.drift_table",
        "line 20, one_model",
    ]


def test_what_is_set_on_the_command_line_has_no_line(read):
    with pytest.raises(FaultsError) as caught:
        read("runs: [{raw: raw/a}]\n", parameters={"spectrum": {"bnd": 3}})
    assert caught.value.faults[0].startswith("parameters.spectrum.bnd: ")


def test_regions_and_masks_are_checked_before_anything_is_done(read):
    with pytest.raises(FaultsError) as caught:
        read(
            "runs: [{raw: raw/a}, {raw: raw/b}]\n"
            "rois: [{name: ring, circle: {x: 1, y: 1}}]\n"
            "parameters: {feature: {masks: {left: none.tif}}}\n"
        )
    (region, mask) = caught.value.faults  # once, not once for each run
    assert "circle" in region
    assert "none.tif" in mask
    with pytest.raises(FaultsError, match="'lft' is no mask; there are only mask"):
        read("runs: [{raw: raw/a}]\nrois: [{name: left, mask: lft}]\n")


def test_all_paths_that_name_nothing_are_listed(read):
    with pytest.raises(FaultsError) as caught:
        read("runs: [{raw: none}, {run: gone.zarr}, {}, {raw: raw/a, run: old.zarr}]\n")
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "line 1, runs.0.raw",
        "line 1, runs.1.run",
        "line 1, runs.2",
        "line 1, runs.3",
    ]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("runs: [{raw: raw/a}, {raw: raw/b, name: a}]", "2 runs are named 'a'"),
        ("runs: [{raw: raw/a}, {raw: raw/a}]", "2 runs are named 'a'"),
        ("runs: [{run: old.zarr}, {run: ./old.zarr, name: new}]", "2 entries work on"),
        ("runs: [{raw: raw/*, name: a}]", "one name for 3 runs"),
        ("runs: [{raw: raw/a, name: ../../a}]", "becomes a file name"),
        ("runs: []", "runs: "),
        ("", "file: "),
        ("- a", "file: "),
        ("runs: [", "is not YAML"),
    ],
)
def test_faults_are_sentences_that_name_the_file(read, text, match):
    with pytest.raises(UemError, match=match) as caught:
        read(text)
    assert "ge.yaml" in str(caught.value)


def test_a_missing_campaign_is_named(tmp_path):
    with pytest.raises(UemError, match=r"none\.yaml: no such file"):
        read_campaign(tmp_path / "none.yaml")


# ---- without a file


def test_runs_on_the_command_line(folder, monkeypatch):
    monkeypatch.chdir(folder)
    plan = plan_runs([Path("raw/a"), Path("old.zarr")])
    assert [run.store for run in plan.runs] == [folder / "results/a.zarr", folder / "old.zarr"]
    assert plan_runs([Path("old.zarr")]).output == folder
    assert plan_runs([Path("raw/a")], output=Path("out")).output == folder / "out"
    with pytest.raises(FaultsError, match="names nothing"):
        plan_runs([Path("raw/z")])


def test_two_runs_alone_do_not_share_a_model_name(folder):
    names = {plan_runs([folder / "raw" / name]).name for name in "ab"}
    assert names == {"a", "b"}


def test_an_ingest_is_a_campaign_of_one(folder):
    raw = IngestParameters(raw=str(folder / "raw/a"), pixel_size="3nm")
    plan = plan_ingest({folder / "x.y.zarr": raw})
    assert plan.runs[0].store == folder / "x.y.zarr"
    assert plan.runs[0].name == "x.y"
    assert plan.runs[0].parameters.ingest.pixel_size == "3nm"


# ---- settings


def test_settings_merge():
    assert merge_settings(
        ["spectrum.band=[30, 40]", "train.training.crop=64", "train.training.batch=8", "a.b=x=y"]
    ) == {
        "spectrum": {"band": [30, 40]},
        "train": {"training": {"crop": 64, "batch": 8}},
        "a": {"b": "x=y"},
    }


def test_the_last_setting_wins():
    assert merge_settings(["a.b=1", "a.b=2"]) == {"a": {"b": 2}}


def test_all_faults_of_settings_are_listed():
    with pytest.raises(FaultsError) as caught:
        merge_settings(["label", "label=3", "a..b=1", ".=1", "a.b=[", "a.b=1"])
    assert len(caught.value.faults) == 5


def test_any_setting_is_merged_or_refused_for_people(answers, damaged):
    @given(st.lists(damaged("train.training.crop=64") | st.text(max_size=5), max_size=2))
    @answers
    def any_of_them(settings):
        assert isinstance(merge_settings(settings), dict)

    any_of_them()
    assert answers.share > 0.05


def test_any_campaign_is_planned_or_refused_for_people(folder, answers):
    whole = {
        "runs": [{"raw": "raw/a", "pixel_size": "3nm"}, {"raw": "raw/b", "name": "b"}],
        "parameters": {"label": {"methods": ["dis"]}},
        "rois": [{"name": "left", "rectangle": {"x": [0, 9], "y": [0, 9]}}],
        "output": "results",
        "model": "new",
    }
    odd = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda part: (
            st.lists(part, max_size=2)
            | st.dictionaries(st.sampled_from(["raw", "name", "label", "rois"]), part)
        ),
        max_leaves=8,
    )

    @given(st.sampled_from([*whole, "notes", ""]), odd | st.none())
    @answers
    def any_of_them(key, instead):
        changed = whole | ({key: instead} if key else {})
        plan_campaign(changed, name="any", folder=folder)

    any_of_them()
    assert answers.share > 0.02


@pytest.fixture
def tables(folder):
    """Drift tables by frame and by file."""
    rows = [f"{i},0,0" for i in range(3)]
    (folder / "frames.csv").write_text("\n".join(["frame,x,y", *rows]))
    (folder / "files.csv").write_text("\n".join(["file,x,y", *(f"f{row}" for row in rows)]))
    return folder


def test_one_drift_table_does_not_serve_several_runs(read, tables):
    shared = "parameters: {{align: {{drift_table: {}}}}}\nruns: [{{raw: raw/*}}]\n"
    with pytest.raises(FaultsError, match=r"frames.csv is given to 3 runs, and drift is each run"):
        read(shared.format("frames.csv"))
    assert len(read(shared.format("files.csv")).runs) == 3  # a name is of one run alone
    one = "parameters: {align: {drift_table: frames.csv}}\nruns: [{raw: raw/a}]\n"
    assert read(one).runs[0].parameters.align.drift_table == str(tables / "frames.csv")


def test_a_run_has_settings_of_its_own(read, tables):
    plan = read(
        "parameters: {align: {drift_sign: correction}, spectrum: {band: [30, 40]}}\n"
        "runs:\n"
        "  - {raw: raw/a, parameters: {align: {drift_table: frames.csv}}}\n"
        "  - {raw: raw/b, parameters: {align: {drift_sign: drift}, spectrum: {band: [10, 20]}}}\n"
    )
    first, second = (run.parameters for run in plan.runs)
    assert first.align.drift_table == str(tables / "frames.csv")
    assert first.align.drift_digest
    assert first.align.drift_sign == "correction"
    assert (second.align.drift_table, second.align.drift_sign) == (None, "drift")
    assert first.spectrum.band == (30, 40)
    assert second.spectrum.band == (10, 20)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("{align: {drift: 3}}", "runs.0.parameters.align.drift: is no key that is known here"),
        ("{align: {registr: false}}", "align.registr: is no key that is known here; did you mean"),
        (
            "{train: {memory: 2}}",
            "runs.0.parameters: 'train' has no settings here; give them to all",
        ),
        ("{ingest: {scan: 2}}", "runs.0.parameters: 'ingest' has no settings here; give its keys"),
    ],
)
def test_settings_of_a_run_that_are_none(read, settings, fault):
    with pytest.raises(FaultsError) as caught:
        read(f"runs: [{{raw: raw/a, parameters: {settings}}}]\n")
    assert fault in str(caught.value)


def test_what_is_set_for_a_call_wins_over_what_a_run_has_of_its_own(read):
    text = "runs: [{raw: raw/a, parameters: {align: {max_drift: 3}}}, {raw: raw/b}]"
    plan = read(text, parameters={"align": {"max_drift": 7}})
    assert [run.parameters.align.max_drift for run in plan.runs] == [7, 7]


def test_a_region_of_all_runs_may_be_a_mask_of_each(read, folder):
    for name in "ab":
        (folder / f"{name}.tif").touch()
    own = "runs: [{raw: raw/a, parameters: {feature: {masks: {flake: a.tif}}}}, {raw: raw/b"
    other = ", parameters: {feature: {masks: {flake: b.tif}}}"
    rois = "\nrois: [{name: flake, mask: flake}]"
    assert len(read(own + other + "}]" + rois).runs) == 2
    with pytest.raises(FaultsError, match="'flake' is no mask; there are only mask"):
        read(own + "}]" + rois)


def test_regions_of_one_name_in_one_run_are_told(read):
    square = "{name: q, rectangle: {x: [0, 9], y: [0, 9]}}"
    inner = f"parameters: {{feature: {{rois: [{square}]}}}}"
    with pytest.raises(FaultsError, match=r"runs\.0\.rois\.0\.name: 'q' is a region of this run"):
        read(f"runs: [{{raw: raw/a, rois: [{square}], {inner}}}]")
    # A list of a run's own stands in the place of that of all runs.
    text = f"runs: [{{raw: raw/a, {inner}}}]\nparameters: {{feature: {{rois: [{square}]}}}}"
    assert len(read(text).runs[0].parameters.feature.rois) == 1


def test_an_ingested_run_keeps_its_name_when_others_of_that_name_come(tmp_path):
    for name in ("mon/raw", "tue/raw"):
        (tmp_path / name).mkdir(parents=True)
    run = create_run(
        tmp_path / "results" / "raw.zarr",
        delays=np.arange(4.0),
        shape=(16, 16),
        dtype="uint16",
        pixel_size=(1.0, 1.0),
        source_file=["a"] * 4,
    )
    run.begin("ingest", digest="x", parameters={"raw": str(tmp_path / "mon" / "raw")})
    plan = plan_campaign({"runs": [{"raw": "*/raw"}]}, name="x", folder=tmp_path)
    assert [planned.name for planned in plan.runs] == ["raw", "tue_raw"]
