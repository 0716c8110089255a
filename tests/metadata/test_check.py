"""Metadata at the door: checked, spelled one way, nothing lost."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask import FaultsError
from uemdask.metadata import ENTRIES, check_metadata, read_metadata
from uemdask.metadata.table import RESERVED
from uemdask.units import UNITS, Quantity, kind_of, parse_quantity


def clean(**metadata):
    return check_metadata(metadata, "metadata.yaml")[0]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_every_example_of_the_table_is_in_its_own_spelling(entry):
    value = [entry.example] if entry.kind == "notes" else entry.example
    assert clean(**{entry.name: value}) == {entry.name: value}
    assert not entry.unit or entry.unit in UNITS[entry.kind]


@pytest.mark.parametrize(
    ("name", "written", "spelled"),
    [
        ("beam_energy", "200keV", "200 keV"),
        ("beam_energy", "200 KEV", "200 keV"),
        ("beam_energy", "0.2 MeV", "0.2 MeV"),  # the number stays as written
        ("beam_energy", "200 kV", "200 keV"),
        ("pump_fluence", "5 mJ/cm2", "5 mJ/cm²"),
        ("pump_fluence", "5mJ/cm^2", "5 mJ/cm²"),
        ("pump_fluence", "5 mJ cm-2", "5 mJ/cm²"),
        ("pump_fluence", "5 mJ·cm⁻²", "5 mJ/cm²"),
        ("pump_fluence", "50 J/m^2", "50 J/m²"),
        ("repetition_rate", "25khz", "25 kHz"),
        ("pump_wavelength", "0.515 um", "0.515 µm"),
        ("temperature", "20 degC", "20 °C"),
        ("temperature", "−10 °C", "-10 °C"),
        ("time_zero", 12, "12 ps"),
        ("time_zero", "-12ps", "-12 ps"),
        ("pixel_size", [3.0, 2.5], "3 nm, 2.5 nm"),
        ("pixel_size", "3nm/px", "3 nm"),
        ("pixel_size", "3nm, 3 nm", "3 nm"),
        ("date", datetime.date(2024, 5, 3), "2024-05-03"),
        ("date", "2024-05-03 14:30+02:00", "2024-05-03T14:30:00+02:00"),
        ("date", "2024-05-03T12:30:00Z", "2024-05-03T12:30:00Z"),
        ("sample", "  Ge\n wedge ", "Ge wedge"),
        ("sample", 7, "7"),
        ("notes", "thin\n\nbent ", ["thin", "bent"]),
    ],
)
def test_a_value_gets_its_one_spelling_and_keeps_it(name, written, spelled):
    assert clean(**{name: written}) == {name: spelled}
    assert clean(**{name: spelled}) == {name: spelled}


def test_all_faults_are_told_at_once_each_with_its_key_and_a_remedy():
    with pytest.raises(FaultsError) as caught:
        clean(
            beam_energy=200,
            exposure="10 nm",
            pump_power="150 mw",  # milli or mega?
            repetition_rate="-25 kHz",
            temperature="-300 °C",
            date="3.5.2024",
            pixel_size="1,2,3",
            sample=["Ge"],
            vendor="Gatan",
            my_own="kept",
        )
    faults = caught.value.faults
    assert caught.value.subject == "metadata.yaml"
    assert faults[0] == (
        "beam_energy: '200' has no unit; write it like '200 keV' (meV, eV, keV, MeV)"
    )
    assert faults[1].startswith("exposure: '10 nm' is a length, not a time; write it like '10 s'")
    assert "'150 mw' is not a number with a unit" in faults[2]
    assert "'-25 kHz' is negative" in faults[3]
    assert "'-300 °C' is below absolute zero" in faults[4]
    assert "'3.5.2024' is not a date; write it like '2024-05-03'" in faults[5]
    assert "not one or two lengths" in faults[6]
    assert "write text like 'Ge wedge'" in faults[7]
    assert "vendor: is a name that the store keeps for itself" in faults[8]
    assert len(faults) == 9


@pytest.mark.parametrize("key", RESERVED)
def test_names_of_the_store_are_refused(key):
    with pytest.raises(FaultsError, match=key):
        check_metadata({key: "x"}, "metadata.yaml")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("beam-energy", "beam_energy"),
        ("Beam Energy", "beam_energy"),
        ("temperatur", "temperature"),
        ("pump_wavelenght", "pump_wavelength"),
        ("repitition_rate", "repetition_rate"),
    ],
)
def test_a_misspelled_key_is_kept_and_told(key, meant):
    found, notes = check_metadata({key: "2 of 3"}, "metadata.yaml")
    assert found == {key: "2 of 3"}
    assert len(notes) == 1
    assert key in notes[0]
    assert repr(meant) in notes[0]


def test_own_keys_are_kept_without_a_word():
    own = {"flake": 3, "humidity": "40 %", "stage": {"tilt": [1, 2]}}
    assert check_metadata(own, "metadata.yaml") == (own, [])


def test_keys_without_a_value_are_not_given():
    assert clean(operator=None, sample="", flake=None) == {"flake": None}


def test_conversions_are_exact():
    assert Quantity(2.5, "Å").to("nm") == Quantity(0.25, "nm")
    assert Quantity(20.0, "°C").to("K") == Quantity(293.15, "K")
    assert Quantity(293.15, "K").to("°C") == Quantity(20.0, "°C")
    assert Quantity(5.0, "mJ/cm²").to("J/m²") == Quantity(50.0, "J/m²")
    assert Quantity(200.0, "keV").to("MeV") == Quantity(0.2, "MeV")


def test_a_unit_belongs_to_one_kind():
    units = [unit for kind in UNITS.values() for unit in kind]
    assert len(units) == len(set(units))


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from([(a, b) for k in UNITS.values() for a in k for b in k]),
)
def test_there_and_back_is_the_same_quantity(value, units):
    there = Quantity(value, units[0]).to(units[1])
    assert there.to(units[0]).value == pytest.approx(value, rel=1e-12, abs=1e-9)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(list(ENTRIES)))
def test_a_quantity_written_as_text_is_read_without_loss(value, name):
    unit = ENTRIES[name].unit or "nm"
    text = str(Quantity(value, unit))
    assert parse_quantity(text, kind_of(unit), what="x", example=text) == Quantity(value, unit)


def test_any_text_is_clean_or_an_error_for_people(answers):
    @given(st.text(max_size=15), st.sampled_from(list(ENTRIES)))
    @answers
    def any_of_them(text, name):
        found = clean(**{name: text})
        assert check_metadata(found, "again") == (found, [])

    any_of_them()
    assert answers.share > 0.05


def test_attributes_are_read_with_units_in_one_order():
    found = read_metadata(
        {
            "flake": 3,
            "beam_energy": "0.2 MeV",
            "pixel_size": [3.0, 2.5],
            "pixel_size_units": "nm",
            "uemdask": {"stages": {}},
            "vendor": {"a": 1},
            "coordinates": "time",
            "sample": "Ge wedge",
            "exposure": 10,  # from a version that did not check
        }
    )
    assert found == {
        "sample": "Ge wedge",
        "beam_energy": Quantity(200.0, "keV"),
        "exposure": 10,
        "pixel_size": (Quantity(3.0, "nm"), Quantity(2.5, "nm")),
        "flake": 3,
    }
    assert list(found) == ["sample", "beam_energy", "exposure", "pixel_size", "flake"]


def test_numbers_of_numpy_are_numbers():
    assert clean(pixel_size=np.array([3, 2]).tolist()) == clean(pixel_size=[np.int64(3), 2.0])
