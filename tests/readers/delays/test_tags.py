"""Delays in the tags of DigitalMicrograph files."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays.tags import read_tags

IMAGES = [Path(f"raw/{i}.dm3") for i in range(5)]


def _dm(**laser):
    """Nest tags as RosettaSciIO's original metadata of a DM file are."""
    group = {key.replace("_", " "): value for key, value in laser.items()}
    image = {"ImageTags": {"Acquisition": {"Frame": {}}, "LaserParameter": group}}
    return {"DocumentObjectList": {}, "ImageList": {"TagGroup0": image}}


def _read(tags, images=IMAGES):
    return read_tags(images, dict(zip(images, tags, strict=True)).__getitem__)


def test_delays_of_all_images():
    found = _read([_dm(Delay=5.0 * i - 10, Delay_Units="ps", Step_Number=i + 1) for i in range(5)])
    assert found.delays == (-10, -5, 0, 5, 10)
    assert found.files == ("0.dm3", "1.dm3", "2.dm3", "3.dm3", "4.dm3")
    assert found.source == "LaserParameter tags"


@pytest.mark.parametrize(
    ("delay", "unit", "wanted"),
    [
        (-30, "ps", -30),
        ("-30", "ps", -30),
        ("-30.5", "ps\0", -30.5),
        (500, "fs", 0.5),
        ("2", "ns", 2000),
        ("105x10", "ps", 10.5),  # tenths, as the names have them
        ("-5x10", "ps", -0.5),
        ("500 fs", "ps", 0.5),
        (3, "", 3),
    ],
)
def test_numbers_texts_and_units(delay, unit, wanted):
    assert _read([_dm(Delay=delay, Delay_Units=unit)] * 5).delays[0] == pytest.approx(wanted)


def test_tags_may_be_flat_and_of_any_case():
    flat = {"LaserParameter:Delay": 3, "LaserParameter:Delay Units": "ns"}
    assert _read([{"ImageTags": flat}] * 5).delays[0] == 3000
    assert _read([{"laserparameter": {"delay": 3, "DELAY UNITS": "ns"}}] * 5).delays[0] == 3000


def test_the_laser_is_kept_and_what_changes_is_told():
    tags = [
        _dm(Delay=i, Wavelength=515, Repitition_Rate=25, Laser_Power=10 + (i == 3))
        for i in range(5)
    ]
    found = _read(tags)
    assert found.facts == {"Wavelength": "515", "Repitition Rate": "25"}
    assert found.notes == ("Laser Power differs from image to image: 10, 11",)


@pytest.mark.parametrize("tags", [{}, {"ImageList": {"LaserParameter": {"Wavelength": 515}}}])
def test_images_without_the_tags_are_not_all_read(tags):
    asked = []
    assert read_tags(IMAGES, lambda image: asked.append(image) or tags) is None
    assert len(asked) == 3
    assert read_tags([], None) is None


def test_an_image_that_cannot_be_read_has_no_tags():
    def tags(image):
        if image.name == "0.dm3":
            raise UemError("0.dm3: is damaged")
        return _dm(Delay=1)

    assert read_tags(IMAGES, tags).files == ("1.dm3", "2.dm3", "3.dm3", "4.dm3")


def test_all_images_with_wrong_tags_are_listed():
    tags = [_dm(Delay=v) for v in (math.nan, 1, "later", 2)] + [_dm(Delay=1, Delay_Units="mm")]
    with pytest.raises(FaultsError) as caught:
        _read(tags)
    faults = [fault.partition(":")[0] for fault in caught.value.faults]
    assert faults == ["0.dm3", "2.dm3", "4.dm3"]


_LEAVES = st.none() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
_KEYS = (
    st.sampled_from(["LaserParameter", "Delay", "Delay Units", "Wavelength", "ImageTags"])
    | st.text(max_size=5)
    | st.integers()
    | st.just("LaserParameter:Delay")
)
_TAGS = st.dictionaries(
    _KEYS, st.dictionaries(_KEYS, _LEAVES, max_size=4) | st.lists(_LEAVES, max_size=2), max_size=3
)


def test_any_tags_give_finite_delays_or_an_error_for_people(answers):
    @given(_TAGS)
    @settings(max_examples=150)
    @answers
    def any_of_them(tags):
        found = read_tags(IMAGES, lambda image: tags)
        assert found is None or all(map(math.isfinite, found.delays))

    any_of_them()
    assert answers.share > 0.08
