"""Following: jumps, slabs put together, frames that show nothing."""

from __future__ import annotations

import numpy as np

from uemdask.align import OVERLAP, join_pieces, register_sequentially


def series(scene, drifts, **options):
    return [scene.frame(tuple(d), **options) for d in drifts]


def test_jumps_of_ten_pixels_and_darkening(make_scene):
    scene = make_scene(128, seed=0)
    drifts = np.cumsum(scene.random.normal(0, 0.7, (10, 2)), axis=0)
    drifts[4:] += (7.0, -7.0)
    drifts -= drifts[0]
    frames = [scene.frame(tuple(d), gain=1 - 0.02 * i) for i, d in enumerate(drifts)]
    piece = register_sequentially(frames.__getitem__, range(10))
    assert piece.found.all()
    assert np.abs(piece.position - drifts).max() < 0.2


def test_pieces_join_to_what_one_piece_is(make_scene):
    scene = make_scene(96, seed=1, texture=0.15)
    drifts = np.cumsum(scene.random.normal(0, 0.5, (14, 2)), axis=0)
    frames = series(scene, drifts)
    pieces = [
        register_sequentially(frames.__getitem__, range(8)),
        register_sequentially(frames.__getitem__, range(8 - OVERLAP, 14)),
    ]
    whole = join_pieces(pieces)
    assert whole.frames == list(range(14))
    assert np.abs(whole.position - (drifts - drifts[0])).max() < 0.3


def test_a_blank_frame_is_passed_over_wherever_it_stands(make_scene):
    scene = make_scene(96, seed=2, texture=0.15)
    drifts = np.cumsum(scene.random.normal(0, 0.5, (6, 2)), axis=0)
    for blank in (0, 3, 5):
        frames = series(scene, drifts)
        frames[blank] = np.zeros((96, 96))
        piece = register_sequentially(frames.__getitem__, range(6))
        assert np.flatnonzero(~piece.found).tolist() == [blank]
        good = piece.found
        error = (piece.position - drifts)[good]
        assert np.abs(error - error[0]).max() < 0.3


def test_noise_is_not_followed():
    random = np.random.default_rng(3)
    piece = register_sequentially(lambda _: random.poisson(50.0, (64, 64)).astype(float), range(5))
    assert not piece.found.any()
    assert (piece.position == 0).all()
