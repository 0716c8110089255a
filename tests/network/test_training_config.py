"""Rates rise and fall; baselines stay within half a wavelength."""

import pytest

from uemdask.network.training_config import TrainingConfig, choose_baselines, learning_rate


def test_the_learning_rate_rises_and_falls_in_each_phase():
    config = TrainingConfig(pretrain_steps=100, finetune_steps=50, warmup_steps=10)
    rates = [learning_rate(config, step) for step in range(150)]
    assert max(rates[:100]) == rates[10] == config.pretrain_rate
    assert max(rates[100:]) == rates[110] == config.finetune_rate
    assert rates[99] < 0.01 * config.pretrain_rate
    assert rates[0] < rates[5] < rates[10]


@pytest.mark.parametrize("advance", [0.0, 0.02, 0.1, 0.124, 0.16, 0.2, 0.3, 0.45])
def test_baselines_stay_within_half_a_wavelength(advance):
    baselines = choose_baselines(1000.0 * advance, 1.0)
    assert 1 <= max(baselines) <= 4
    assert max(baselines) * advance <= 0.5
    assert max(baselines) == 4 or (max(baselines) + 1) * advance > 0.5
