"""Known metadata among vendors' tags. The tags are excerpts of real files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.metadata import check_metadata, from_vendor


def _gatan(tags):
    return {"ImageList": {"TagGroup0": {"ImageTags": tags}}}


_STEM = {
    "DataBar": {
        "Acquisition Date": "12/10/2019",
        "Acquisition Time": "3:32:41 PM",
        "Acquisition Time (OS)": 1.3220483561436376e17,
        "Device Name": "DigiScan",
    },
    "Microscope Info": {
        "Formatted Voltage": "300kV",
        "Name": "FEI Tecnai Remote",
        "Operator": [],
        "Probe Current (nA)": 0.0,
        "Voltage": 300000.0,
    },
    "Session Info": {
        "Items": {"TagGroup1": {"Label": "Operator", "Tag path": "Session Info:Operator"}},
        "Microscope": "Example Microscope",
        "Operator": "JohnDoe",
        "Specimen": "PrecipitateA",
    },
}
_STEM_KNOWN = {
    "sample": "PrecipitateA",
    "operator": "JohnDoe",
    "date": "2019-12-10T20:32:41Z",  # 3:32 PM on the clock of the lab, five hours west
    "microscope": "Example Microscope",
    "beam_energy": "300 keV",
    "detector": "DigiScan",
}
_CAMERA = {
    "Acquisition": {"Parameters": {"High Level": {"Exposure (s)": 1.0}}},
    "DataBar": {
        "Acquisition Date": "8/29/2017",
        "Acquisition Time": "1:58:43 PM",
        "Device Name": "EF-CCD",
        "Exposure Time (s)": 1.0,
    },
    "Microscope Info": {"Microscope": "NCEM TEAM 0.5", "Specimen": [], "Voltage": 300000.0},
}
_TIA = {
    "ObjectInfo": {
        "AcquireDate": "Sun Feb 21 17:49:06 2016",
        "AcquireInfo": {"CameraNamePath": "WA-Orius", "DwellTimePath": "0.062500"},
        "ExperimentalConditions": {"MicroscopeConditions": {"AcceleratingVoltage": "200000"}},
        "ExperimentalDescription": {
            "High tension_kV": 200.0,
            "Microscope": "Microscope Tecnai 200 kV D2267 SuperTwin",
            "User": "ERIC",
        },
    }
}
_VELOX = {
    "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1575540224"}},
    "BinaryResult": {"Detector": "BM-Ceta"},
    "Detectors": {
        "Detector-0": {"DetectorName": "BM-Ceta", "ExposureTime": "0.80000000000000004"},
        "Detector-1": {"DetectorName": "HAADF", "Gain": "26.9"},
    },
    "Instrument": {"InstrumentClass": "Titan"},
    "Optics": {"AccelerationVoltage": "300000", "ExtractorVoltage": "3950"},
    "Sample": "",
}


@pytest.mark.parametrize(
    ("tags", "known"),
    [
        (_gatan(_STEM), _STEM_KNOWN),
        (_gatan({"source": {"Tags at creation": _STEM}}), _STEM_KNOWN),
        ({"ImageList": [{}, {"ImageTags": _STEM}]}, _STEM_KNOWN),
        (
            _gatan(_CAMERA),
            {
                "date": "2017-08-29T13:58:43",
                "microscope": "NCEM TEAM 0.5",
                "beam_energy": "300 keV",
                "detector": "EF-CCD",
                "exposure": "1 s",
            },
        ),
        (
            _TIA,
            {
                "operator": "ERIC",
                "date": "2016-02-21T17:49:06",
                "microscope": "Microscope Tecnai 200 kV D2267 SuperTwin",
                "beam_energy": "200 keV",
                "detector": "WA-Orius",
                "exposure": "0.0625 s",
            },
        ),
        (
            _VELOX,
            {
                "date": "2019-12-05T10:03:44Z",
                "microscope": "Titan",
                "beam_energy": "300 keV",
                "detector": "BM-Ceta",
                "exposure": "0.8 s",
            },
        ),
        (
            {"DateTime": "2024:05:03 14:30:00", "Artist": "A. B.", "Software": "tifffile.py"},
            {"operator": "A. B.", "date": "2024-05-03T14:30:00"},
        ),
    ],
    ids=["gatan", "stack builder", "list of images", "camera", "tia", "velox", "tiff"],
)
def test_what_is_known_of_a_file_is_found_in_its_tags(tags, known):
    assert from_vendor(tags) == known
    assert check_metadata(known, "tags") == (known, [])


def test_the_tags_of_a_pump_laser_are_found_with_the_spelling_of_the_instrument():
    laser = {"Wavelength": 515, "Repitition Rate": "25 kHz", "Laser Power": "150mW"}
    assert from_vendor(_gatan({"LaserParameter": laser})) == {
        "pump_wavelength": "515 nm",
        "pump_power": "150 mW",
        "repetition_rate": "25 kHz",
    }
    assert from_vendor({"ImageTags.LaserParameter:Wavelength": "1.03 µm"}) == {
        "pump_wavelength": "1030 nm"
    }


@pytest.mark.parametrize(
    "tags",
    [
        {"LaserParameter": {"Wavelength": 0.515, "Repitition Rate": 25, "Laser Power": 150.0}},
        {"Microscope Info": {"Voltage": 0.0, "Specimen": "", "Operator": [], "Name": "Unknown"}},
        {"Microscope Info": {"Voltage": "high"}},
        {"DataBar": {"Acquisition Date": "7/9/2014", "Acquisition Time": "6:56:37 PM"}},
        {"DataBar": {"Acquisition Time (OS)": 1e40}},
        {"Detectors": {"Detector-0": {"ExposureTime": "1"}, "Detector-1": {"ExposureTime": "2"}}},
        [{"Microscope Info": {"Voltage": 2e5}}, {"Microscope Info": {"Voltage": 3e5}}],
        {},
    ],
    ids=["no units", "empty", "text", "day or month", "far future", "two cameras", "two", "none"],
)  # fmt: skip
def test_what_may_mean_two_things_is_left_in_the_tags(tags):
    assert from_vendor({"ImageList": tags}) == {}


_NAMES = st.sampled_from(
    ["Microscope Info", "Voltage", "DataBar", "Acquisition Date", "LaserParameter", "Wavelength",
     "Session Info", "Operator", "Exposure Time (s)", "Detectors", "ExposureTime", "a.b", ""]
)  # fmt: skip


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
        lambda part: st.dictionaries(_NAMES, part) | st.lists(part, max_size=3),
        max_leaves=12,
    )
)
def test_any_tags_give_clean_metadata_and_no_error(tags):
    known = from_vendor({"ImageTags": tags})
    assert check_metadata(known, "tags") == (known, [])
