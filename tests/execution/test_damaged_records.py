"""One bad run never stops the others, whatever stands in its record, its ledger or its name."""

import copy
import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uemdask.cube import Run, describe_run
from uemdask.errors import UemError
from uemdask.execution import campaign_status, preview, verify
from uemdask.execution.ledger import ledger_path, read_entries
from uemdask.execution.ledger_entries import entry_of
from uemdask.report import write_campaign_report, write_report
from uemdask_cli.flags import with_flags

#: The same examples each time, and few: each opens real stores.
few = settings(
    derandomize=True,
    max_examples=12,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**4000), 10**4000),
    st.floats(),
    st.text(max_size=20),
    st.just([]),
    st.just({}),
    st.just("x" * 300),
    st.just([[[[[[]]]]]]),
)


@pytest.fixture(scope="module")
def pair(_finished, tmp_path_factory):
    """Two finished runs: one to be damaged, and a good one."""
    folder = tmp_path_factory.mktemp("pair") / "work"
    shutil.copytree(_finished[0], folder)
    results = folder / "results"
    for name in ("bad", "good"):
        shutil.copytree(results / "raw.zarr", results / f"{name}.zarr")
        shutil.copy(results / "raw.ledger.jsonl", results / f"{name}.ledger.jsonl")
    return folder


@pytest.fixture
def two_runs(pair, plan):
    return plan(
        pair,
        runs=[{"run": "results/bad.zarr"}, {"run": "results/good.zarr"}],
        model=str(next((pair / "results" / "models").glob("*.pt"))),
    )


def looked_at(two):
    """Look at both runs in every way that does not compute; the good one is as it should be."""
    bad, good = campaign_status(two)
    assert good.done
    assert not good.failed
    plans = preview(two)
    assert plans.runs[1].to_do == {}
    assert plans.runs[1].fault == ""
    assert verify(two).runs[1].sound
    with suppress(UemError):  # a sentence
        describe_run(two.runs[0].store)
    return bad, plans.runs[0]


def places(value, place=()):
    """Yield the place of everything in nested JSON."""
    yield place
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*place, key))


def changed(value, place, new):
    """Return nested JSON with something else at a place; removed where it is `changed` itself."""
    if not place:
        return new
    value = copy.deepcopy(value)
    owner = value
    for key in place[:-1]:
        owner = owner[key]
    if new is changed:
        del owner[place[-1]]
    else:
        owner[place[-1]] = new
    return value


@pytest.fixture
def record(pair):
    file = pair / "results" / "bad.zarr" / "zarr.json"
    text = file.read_text()
    yield file
    file.write_text(text)


@few
@given(data=st.data())
def test_a_record_of_any_shape(record, pair, two_runs, data):
    whole = json.loads((pair / "results" / "good.zarr" / "zarr.json").read_text())
    sizes = [place for place in places(whole["attributes"]) if len(place) < 6]
    place = ("attributes", *sizes[data.draw(st.integers(0, len(sizes) - 1))])
    new = data.draw(st.one_of(st.just(changed), odd))
    record.write_text(json.dumps(changed(whole, place, None if len(place) == 1 else new)))
    looked_at(two_runs)


@pytest.mark.parametrize(
    "place",
    [
        ("pixel_size",),
        ("uemdask", "stages", "align", "results", "time_zero_sd_ps"),
        ("uemdask", "stages", "spectrum", "results", "band"),
        ("uemdask", "stages", "feature", "results"),
        ("uemdask", "stages", "mode", "finished"),
    ],
    ids=lambda place: place[-1],
)
@pytest.mark.parametrize("new", [changed, "x", {"a": [1]}], ids=["gone", "text", "nested"])
def test_a_page_of_a_damaged_record_is_a_sentence(record, pair, place, new):
    whole = json.loads((pair / "results" / "good.zarr" / "zarr.json").read_text())
    record.write_text(json.dumps(changed(whole, ("attributes", *place), new)))
    with suppress(UemError):
        write_report(pair / "results" / "bad.zarr", pair / "page.html")


TEXTS = [
    "",
    "[]",
    "null",
    "\0\0\0",
    "[" * 100_000,
    '{"a":' * 100_000,
    "9" * 5_000,
    '{"attributes": {"uemdask": 1}, "zarr_format": 3, "node_type": "group"}',
    '{"attributes": {"uemdask": {"stages": []}}, "zarr_format": 3, "node_type": "group"}',
    '{"attributes": 5, "zarr_format": 3, "node_type": "group"}',
    '{"zarr_format": 9, "node_type": "group"}',
]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        *[("zarr.json", text) for text in TEXTS],
        *[("frame_ok/zarr.json", text) for text in TEXTS[1:4]],
        *[("flow/zarr.json", text) for text in TEXTS[3:8]],
    ],
    ids=range(19),
)
def test_metadata_of_any_shape(pair, two_runs, drive, file, text):
    path = pair / "results" / "bad.zarr" / file
    whole = path.read_text()
    path.write_text(text)
    try:
        bad, planned = looked_at(two_runs)
        if file == "zarr.json":
            assert "bad.zarr" in bad.failed
            assert "bad.zarr" in planned.fault
            done = drive(two_runs)
            assert done.outcome.done == ["good"]
            assert "bad.zarr" in done.outcome.failed["bad"]
            with pytest.raises(UemError, match=r"bad\.zarr"):
                describe_run(two_runs.runs[0].store)
        assert not verify(two_runs).runs[0].sound
    finally:
        path.write_text(whole)


@pytest.mark.parametrize("variable", ["frame_ok", "time", "source_file"])
@pytest.mark.parametrize("content", [b"x" * 7, None], ids=repr)
def test_small_arrays_of_any_content(pair, two_runs, drive, variable, content):
    path = pair / "results" / "bad.zarr" / variable / "c" / "0"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        _, planned = looked_at(two_runs)
        assert variable in planned.fault
        done = drive(two_runs)
        assert done.outcome.done == ["good"]
        assert variable in done.outcome.failed["bad"]
        page = write_campaign_report([run.store for run in two_runs.runs], pair / "page.html")
        assert "good" in page.read_text()
    finally:
        path.write_bytes(whole)


@few
@given(
    lines=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.dictionaries(st.sampled_from(["stage", "receipt", "failed", "made", "at"]), odd).map(
                lambda line: json.dumps(line).encode()
            ),
            st.just(b"[" * 50_000),
            st.just(b'{"failed": ' + b"9" * 5_000 + b"}"),
        ),
        max_size=4,
    )
)
def test_a_ledger_line_of_any_shape(pair, two_runs, lines):
    ledger = ledger_path(two_runs.runs[0].store)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b"\n".join([b"", *lines, b""]))
    try:
        bad, planned = looked_at(two_runs)
        assert bad.done
        assert planned.to_do == {}
        assert len(list(read_entries(ledger))) == len(whole.splitlines())
    finally:
        ledger.write_bytes(whole)


@few
@given(data=st.data())
def test_a_flipped_bit_in_a_ledger_is_noticed(pair, data):
    texts = ledger_path(pair / "results" / "good.zarr").read_text().splitlines()
    text = texts[data.draw(st.integers(0, len(texts) - 1))]
    place = data.draw(st.integers(0, len(text) - 1))
    other = chr(ord(text[place]) ^ 1 << data.draw(st.integers(0, 5)))
    assert entry_of(text) is not None
    assert entry_of(text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize("name", ["a\0b", "n" * 300, "ü" * 140], ids=["NUL", "long", "long bytes"])
def test_a_name_that_no_file_can_have_fails_alone(raw, plan, drive, name):
    two = plan(raw, runs=[{"raw": "raw", "name": name}, {"raw": "raw", "name": "good"}])
    done = drive(two, only=("ingest",))
    assert done.outcome.done == ["good"]
    assert done.outcome.failed[name]
    bad, good = campaign_status(two)
    assert (bad.done, good.failed) == (False, "")
    assert bad.failed
    plans = preview(two, only=("ingest",))
    assert plans.runs[0].fault
    assert plans.runs[1].to_do == {}


@pytest.mark.parametrize("path", ["a\0b", "n" * 300], ids=["NUL", "long"])
def test_a_path_that_no_file_can_have_is_told_with_its_place(raw, plan, path):
    with pytest.raises(UemError, match=r"runs\.1\.raw.*names nothing"):
        plan(raw, runs=[{"raw": "raw"}, {"raw": path}])


def test_a_fact_that_is_not_there_is_told(pair):
    run = Run(pair / "results" / "good.zarr")
    with pytest.raises(UemError, match=r"'nothing'; make it with `only=\['align'\]`"):
        run.stage("align")["nothing"]
    assert np.isfinite(run.results("align").followed_share)
    assert "breathing_ghz" in run.results("align")


def test_the_page_says_what_is_said(finished, plan):
    page = (Path(__file__).parents[2] / "docs" / "bad_input.md").read_text(encoding="utf-8")
    store = finished / "results" / "raw.zarr"
    whole = (store / "zarr.json").read_text()
    said = []

    def listen():
        fault = preview(plan(finished)).runs[0].fault
        said.append(with_flags(fault).replace(str(store), "raw.zarr"))

    (store / "zarr.json").write_text("")
    listen()
    place = ("attributes", "uemdask", "stages", "align", "digest")
    (store / "zarr.json").write_text(json.dumps(changed(json.loads(whole), place, changed)))
    listen()
    (store / "zarr.json").write_text(whole)
    (store / "intensity" / "c" / "0" / "0" / "0").unlink()
    listen()
    said.append(preview(plan(finished, runs=[{"raw": "raw", "name": "a\0b"}])).runs[0].fault)
    for text in said:
        assert f"| `{text}` |" in page
