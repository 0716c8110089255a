"""Names of HyperSpy and NeXus: what goes there comes back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uemdask
from uemdask import FaultsError
from uemdask.metadata import (
    ENTRIES,
    check_metadata,
    from_hyperspy_metadata,
    from_nexus,
    read_metadata,
    to_hyperspy_metadata,
    to_nexus,
)
from uemdask.metadata.nexus_names import CLASSES
from uemdask.metadata.table import HYPERSPY_REST, NEXUS_REST
from uemdask.units import UNITS, Quantity

_PAGE = Path(uemdask.__file__).parents[1] / "docs" / "metadata.md"
_WAYS = pytest.mark.parametrize(
    ("there", "back"),
    [(to_hyperspy_metadata, from_hyperspy_metadata), (to_nexus, from_nexus)],
    ids=["hyperspy", "nexus"],
)
_EXAMPLES = {e.name: [e.example] if e.kind == "notes" else e.example for e in ENTRIES.values()}


@_WAYS
def test_the_examples_of_the_table_come_back(there, back):
    assert back(there(_EXAMPLES)) == _EXAMPLES
    assert back(there(read_metadata(_EXAMPLES))) == _EXAMPLES


_WORDS = st.from_regex(r"[A-Za-zÄÖÜµ0-9]+( [A-Za-z0-9.]+)*", fullmatch=True)


def _values(entry):
    if entry.kind == "notes":
        return st.lists(_WORDS, min_size=1, max_size=3)
    if entry.kind == "date":
        zones = st.sampled_from(["", "Z", "+02:00", "-05:30"])
        moments = st.datetimes().map(lambda moment: moment.isoformat())
        return st.dates().map(str) | st.tuples(moments, zones).map("".join)
    if not entry.is_quantity:
        return _WORDS
    numbers = st.floats(1e-3, 1e6)
    written = st.tuples(numbers, st.sampled_from(list(UNITS[entry.kind])))
    return written.map(lambda pair: str(Quantity(*pair)))


@_WAYS
@settings(max_examples=40)
@given(
    metadata=st.fixed_dictionaries(
        {}, optional={entry.name: _values(entry) for entry in ENTRIES.values()}
    ),
    own=st.dictionaries(
        st.from_regex(r"own_[a-z. ]{0,6}", fullmatch=True), st.integers() | _WORDS, max_size=2
    ),
)
def test_whatever_goes_there_comes_back(there, back, metadata, own):
    clean, _ = check_metadata(metadata | own, "metadata.yaml")
    returned = back(there(clean))
    assert returned.keys() == clean.keys()
    before, after = read_metadata(clean), read_metadata(returned)
    for name, value in before.items():
        if isinstance(value, Quantity):
            assert after[name].unit == value.unit
            assert after[name].value == pytest.approx(value.value, rel=1e-12)
        elif name != "pixel_size":
            assert after[name] == value
        else:
            assert [size.unit for size in after[name]] == ["nm", "nm"]
            assert [s.value for s in after[name]] == pytest.approx([s.value for s in value])


def test_hyperspy_gets_the_units_it_takes_for_granted():
    tree = to_hyperspy_metadata({"sample_thickness": "60 nm", "beam_energy": "0.2 MeV"})
    assert tree["Sample"] == {"thickness": 6e-8, "thickness_units": "m"}
    assert tree["Acquisition_instrument"]["TEM"]["beam_energy"] == 200.0


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (  # as its readers leave a DigitalMicrograph file
            {
                "Acquisition_instrument": {"TEM": {"beam_energy": 200.0, "microscope": "FEI"}},
                "General": {"date": "2016-08-08", "time": "16:26:37", "title": "HAADF"},
                "Signal": {"signal_type": ""},
            },
            {"beam_energy": "200 keV", "microscope": "FEI", "date": "2016-08-08T16:26:37"},
        ),
        (
            {"General": {"date": "2019-12-05", "time": "10:03:44", "time_zone": "UTC"}},
            {"date": "2019-12-05T10:03:44Z"},
        ),
        (  # a zone with a name has no one offset
            {"General": {"date": "2019-12-05", "time": "10:03:44", "time_zone": "CET"}},
            {"date": "2019-12-05T10:03:44"},
        ),
        (
            {"Acquisition_instrument": {"TEM": {"Detector": {"Camera": {"Name": "Orius"}}}}},
            {"detector": "Orius"},
        ),
        (
            {"Acquisition_instrument": {"TEM": {"beam_energy": 0.2, "beam_energy_units": "MeV"}}},
            {"beam_energy": "200 keV"},
        ),
    ],
)
def test_trees_of_others_are_read(tree, found):
    assert from_hyperspy_metadata(tree) == found


def test_nexus_has_a_class_for_every_group_and_ascii_units():
    tree = to_nexus(_EXAMPLES)
    groups = {}

    def walk(node, way):
        for name, value in node.items():
            if isinstance(value, dict):
                groups[f"{way}/{name}"] = value["@NX_class"]
                walk(value, f"{way}/{name}")
            elif name.endswith("@units"):
                assert value.isascii()
                assert isinstance(node[name.removesuffix("@units")], float)

    walk(tree, "")
    assert groups == CLASSES


def test_nexus_files_of_others_are_read_by_class():
    tree = {
        "scan_7": {
            "@NX_class": b"NXentry",
            "specimen": {
                "@NX_class": "NXsample",
                "temperature": np.array([80.0]),
                "temperature@units": "K",
                "name": b"Ge wedge",
            },
            "measurement": {
                "@NX_class": "NXem_measurement",
                "instrument": {
                    "camera": {
                        "@NX_class": "NXdetector",
                        "count_time": 500,
                        "count_time@units": "ms",
                    }
                },
            },
        }
    }
    assert from_nexus(tree) == {
        "sample": "Ge wedge",
        "temperature": "80 K",
        "exposure": "0.5 s",
    }


@_WAYS
def test_a_wrong_value_is_a_sentence_on_the_way_there(there, back):
    with pytest.raises(FaultsError, match="exposure: '10 nm' is a length"):
        there({"exposure": "10 nm"})


def test_a_wrong_value_is_a_sentence_on_the_way_back():
    with pytest.raises(FaultsError, match="beam_energy: 'high keV'"):
        from_hyperspy_metadata({"Acquisition_instrument": {"TEM": {"beam_energy": "high"}}})
    with pytest.raises(FaultsError, match=r"temperature: '80\.0 s' is a time"):
        from_nexus({"entry": {"sample": {"temperature": 80.0, "temperature@units": "s"}}})


def _row(entry):
    hyperspy = " ".join(f"`{path}`" for path in entry.hyperspy) or "–"
    if entry.hyperspy_unit:
        hyperspy += f" ({entry.hyperspy_unit})"
    nexus = f"`{entry.nexus}`" if entry.nexus else "–"
    if entry.nexus_unit:
        nexus += f" ({entry.nexus_unit})"
    return [f"`{entry.name}`", entry.long_name, entry.kind, entry.unit, f"`{entry.example}`"], [
        f"`{entry.name}`", hyperspy, nexus,
    ]  # fmt: skip


def test_the_page_and_the_code_hold_the_same_tables():
    text = _PAGE.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    first, second = zip(*map(_row, ENTRIES.values()), strict=True)
    tags = [
        [f"`{entry.name}`", f"`{path}`", unit]
        for entry in ENTRIES.values()
        for path, unit in entry.vendor
    ]
    classes = [[f"`{path}`", f"`{kind}`"] for path, kind in CLASSES.items()]
    assert rows == [*first, *second, *classes, *tags]
    assert f"`{HYPERSPY_REST}`" in text
    assert f"`{NEXUS_REST}`" in text
