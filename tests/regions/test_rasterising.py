"""Which pixels belong to a region, and its outline."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from uemdask.errors import UemError
from uemdask.regions import DEFAULT_ROI, Roi, mask_outline, outline, rasterise, to_nm

Y = (np.arange(40) + 0.5) * 3.0  # nm, first pixel from 0 to 3
X = (np.arange(50) + 0.5) * 2.0


def box(x, y, unit="nm"):
    return Roi(name="box", rectangle={"x": x, "y": y, "unit": unit})


def test_a_rectangle_in_px_is_a_slice():
    expected = np.zeros((40, 50), bool)
    expected[5:9, 10:30] = True
    np.testing.assert_array_equal(rasterise(box((10, 30), (5, 9), "px"), Y, X), expected)


def test_the_same_rectangle_in_nm_gives_the_same_pixels():
    in_px = rasterise(box((10, 30), (5, 9), "px"), Y, X)
    np.testing.assert_array_equal(rasterise(box((20, 60), (15, 27)), Y, X), in_px)
    assert to_nm(box((10, 30), (5, 9), "px"), Y, X) == box((20, 60), (15, 27))


def test_a_rectangle_as_polygon_gives_the_same_pixels():
    polygon = Roi(name="p", polygon=[(20, 15), (60, 15), (60, 27), (20, 27)])
    np.testing.assert_array_equal(
        rasterise(polygon, Y, X), rasterise(box((20, 60), (15, 27)), Y, X)
    )


def test_edges_through_pixel_centres_are_half_open():
    y = x = np.arange(6.0)
    square = Roi(name="s", polygon=[(1, 1), (4, 1), (4, 4), (1, 4)])
    expected = np.zeros((6, 6), bool)
    expected[1:4, 1:4] = True
    np.testing.assert_array_equal(rasterise(square, y, x), expected)
    np.testing.assert_array_equal(rasterise(box((1, 4), (1, 4)), y, x), expected)


@settings(max_examples=50, deadline=None)
@given(st.tuples(st.floats(1, 99), st.floats(1, 119)), st.booleans())
def test_triangles_around_a_point_tile_the_rectangle_without_overlap(point, on_grid):
    if on_grid:  # a corner exactly on a pixel centre
        point = (X[np.abs(X - point[0]).argmin()], Y[np.abs(Y - point[1]).argmin()])
    corners = [(0, 0), (100, 0), (100, 120), (0, 120)]
    count = np.zeros((40, 50), int)
    for k in range(4):
        triangle = Roi(name="t", polygon=[corners[k], corners[(k + 1) % 4], point])
        count += rasterise(triangle, Y, X)
    assert (count == 1).all()


def test_area_of_a_disc():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    disc = Roi(
        name="d", polygon=list(zip(50 + 40 * np.cos(angle), 60 + 40 * np.sin(angle), strict=True))
    )
    assert rasterise(disc, Y, X).sum() * 6.0 == pytest.approx(np.pi * 40**2, rel=0.02)


def test_a_hole_is_outside():
    ring = Roi(
        name="r",
        geojson={
            "type": "Polygon",
            "coordinates": [
                [[0, 0], [60, 0], [60, 60], [0, 60], [0, 0]],
                [[20, 21], [40, 21], [40, 39], [20, 39], [20, 21]],
            ],
        },
    )
    expected = rasterise(box((0, 60), (0, 60)), Y, X) & ~rasterise(box((20, 40), (21, 39)), Y, X)
    np.testing.assert_array_equal(rasterise(ring, Y, X), expected)


@pytest.mark.parametrize(
    "roi",
    [
        box((13, 71), (8, 77)),
        box((3, 47), (7, 33), "px"),
        Roi(name="p", polygon=[(3.3, 5.1), (90, 40), (55, 110), (20, 70)]),
    ],
)
def test_tiles_give_the_same_pixels_as_the_whole_image(roi):
    whole = rasterise(roi, Y, X)
    assert 0 < whole.sum() < whole.size
    resolved = to_nm(roi, Y, X)
    tiled = np.zeros_like(whole)
    for rows in (slice(0, 17), slice(17, 40)):
        for columns in (slice(0, 1), slice(1, 32), slice(32, 50)):
            tiled[rows, columns] = rasterise(resolved, Y[rows], X[columns])
    np.testing.assert_array_equal(tiled, whole)


def test_named_masks_and_the_default_region():
    mask = np.random.default_rng(0).random((40, 50)) > 0.5
    np.testing.assert_array_equal(rasterise(DEFAULT_ROI, Y, X, {"mask": mask}), mask)
    with pytest.raises(UemError, match="no mask named 'mask'"):
        rasterise(DEFAULT_ROI, Y, X, {"flake": mask})
    with pytest.raises(UemError, match="shape"):
        rasterise(DEFAULT_ROI, Y, X, {"mask": mask[1:]})


def test_a_region_outside_the_image_has_no_pixels():
    assert not rasterise(box((1000, 2000), (0, 9)), Y, X).any()
    assert not rasterise(Roi(name="p", polygon=[(-9, -9), (-1, -9), (-5, -1)]), Y, X).any()


@pytest.mark.parametrize(
    "roi",
    [
        box((20, 60), (15, 27)),
        box((10, 30), (5, 9), "px"),
        Roi(name="p", polygon=[(3.3, 5.1), (90, 40), (55, 110)]),
    ],
)
def test_outlines_read_back_give_the_same_pixels(roi):
    again = Roi(name="again", geojson=json.loads(outline(roi, Y, X)))
    np.testing.assert_array_equal(rasterise(again, Y, X), rasterise(roi, Y, X))


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(bool, (7, 9)))
def test_any_mask_outline_read_back_gives_the_mask(mask):
    y, x = np.arange(7) * 3.0, np.arange(9) * 2.0
    geometry = json.loads(mask_outline(mask, y, x))
    if not mask.any():
        assert geometry["coordinates"] == []
        return
    again = rasterise(Roi(name="again", geojson=geometry), y, x)
    np.testing.assert_array_equal(again, mask)


def test_mask_outlines_are_nested_polygons_with_closed_rings():
    mask = np.zeros((9, 12), bool)
    mask[1:8, 1:8] = True
    mask[3:5, 3:5] = False
    mask[8, 8] = True  # touches the square at a corner: a patch of its own
    geometry = json.loads(mask_outline(mask, np.arange(9.0), np.arange(12.0)))
    assert sorted(len(polygon) for polygon in geometry["coordinates"]) == [1, 2]
    for polygon in geometry["coordinates"]:
        for ring in polygon:
            assert ring[0] == ring[-1]
            assert len(ring) == 5


def test_small_patches_and_holes_can_be_left_out_of_an_outline():
    mask = np.zeros((20, 20), bool)
    mask[2:15, 2:15] = True
    mask[5, 5] = False
    mask[18, 18] = True
    axis = np.arange(20.0)
    geometry = json.loads(outline(DEFAULT_ROI, axis, axis, {"mask": mask}, smallest_px=4))
    assert len(geometry["coordinates"]) == 1
    assert len(geometry["coordinates"][0]) == 1
