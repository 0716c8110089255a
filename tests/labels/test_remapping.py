"""Reading displaced images."""

import numpy as np

from uemdask.labels import leaves_image, remap


def test_warp_reads_at_r_plus_flow_x_first():
    rows, columns = np.mgrid[:6, :7].astype(np.float32)
    flow = np.zeros((2, 6, 7), np.float32)
    flow[0], flow[1] = 1.5, 2.0
    assert remap(columns, flow)[1, 2] == 3.5
    assert remap(rows, flow)[1, 2] == 3.0


def test_components_of_a_field_are_read_alike():
    rng = np.random.default_rng(0)
    field = rng.normal(size=(2, 9, 9)).astype(np.float32)
    flow = rng.uniform(-1, 1, size=(2, 9, 9))
    both = remap(field, flow)
    for component in (0, 1):
        np.testing.assert_array_equal(both[component], remap(field[component], flow))


def test_cubic_reading_of_a_sinusoid_is_closer_than_linear():
    x = np.tile(np.arange(64.0), (16, 1))
    flow = np.stack([np.full((16, 64), 0.5), np.zeros((16, 64))])
    true = np.sin((x + 0.5) / 2)
    inner = np.s_[4:-4, 4:-4]
    linear = np.abs(remap(np.sin(x / 2), flow) - true)[inner].max()
    cubic = np.abs(remap(np.sin(x / 2), flow, cubic=True) - true)[inner].max()
    assert cubic < 0.5 * linear


def test_pixels_that_leave_on_each_side_are_told():
    flow = np.zeros((2, 4, 4))
    assert not leaves_image(flow).any()
    for component, step, expected in (
        (0, 1, np.s_[:, 3]), (0, -1, np.s_[:, 0]), (1, 1, np.s_[3, :]), (1, -1, np.s_[0, :]),
    ):  # fmt: skip
        moved = flow.copy()
        moved[component] = step
        out = leaves_image(moved)
        assert out[expected].all()
        assert out.sum() == 4
