"""Regions from plain dicts."""

import pytest
import yaml

from uemdask.errors import FaultsError
from uemdask.regions import DEFAULT_ROI, parse_rois

GOOD = """
- {name: left, rectangle: {x: [0, 500], y: [100, 900]}}
- {name: corner, rectangle: {x: [0, 64], y: [0, 64], unit: px}}
- {name: grain, polygon: [[0, 0], [300, 0], [150, 200]]}
- name: ring
  geojson:
    type: Polygon
    coordinates: [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], [[3, 3], [6, 3], [6, 6], [3, 3]]]
- {name: flake, mask: flake}
"""


def test_every_kind_of_region_is_read_from_yaml():
    rois = parse_rois(yaml.safe_load(GOOD))
    assert [roi.name for roi in rois] == ["left", "corner", "grain", "ring", "flake"]
    assert rois[0].rectangle.unit == "nm"
    assert rois[1].rectangle.unit == "px"
    assert len(rois[2].rings) == 1
    assert len(rois[3].rings) == 2
    assert rois[4].mask == "flake"


@pytest.mark.parametrize("items", [None, [], ()])
def test_without_regions_there_is_one_all_relevant_pixels(items):
    assert parse_rois(items) == [DEFAULT_ROI]
    assert DEFAULT_ROI.name == DEFAULT_ROI.mask == "mask"


def test_all_faults_are_told_at_once_with_the_place():
    bad = [
        {"name": "a", "rectangle": {"x": [5, 1], "y": [0, 2]}},
        {"name": "b"},
        {"name": "c", "mask": "m", "polygon": [[0, 0], [1, 0], [0, 1]]},
        {"name": "d", "circle": 3, "mask": "m"},
        {"name": "e", "mask": "m"},
        {"name": "e", "mask": "m"},
        {"name": "f", "polygon": [[0, 0], [1, 0]]},
        {"name": "g", "geojson": {"type": "Point", "coordinates": [0, 0]}},
        {"name": "h", "geojson": {"type": "Polygon", "coordinates": [[[0, 0], ["x", 1]]]}},
        {"name": "i", "rectangle": {"x": [0, float("nan")], "y": [0, 1]}},
        {"mask": "m"},
        "left",
    ]
    with pytest.raises(FaultsError) as caught:
        parse_rois(bad, "campaign.yaml, rois")
    text = str(caught.value)
    assert text.startswith("campaign.yaml, rois: ")
    for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12):
        assert f"region {number}" in text
    assert "region 5" not in text
    for words in ("second must be the larger", "exactly one of", "circle", "used twice"):
        assert words in text


def test_regions_that_are_no_list_are_refused():
    with pytest.raises(FaultsError, match="give a list"):
        parse_rois("mask")
    with pytest.raises(FaultsError, match="give a list"):
        parse_rois({"name": "a", "mask": "m"})


def test_a_feature_of_a_multipolygon_gives_its_polygons():
    part = [[[0, 0], [1, 0], [0, 1], [0, 0]]]
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "MultiPolygon", "coordinates": [part, part]},
    }
    (roi,) = parse_rois([{"name": "a", "geojson": feature}])
    assert len(roi.polygons) == 2
