"""The device is chosen, and said in a plain sentence."""

import pytest
import torch

from uemdask.errors import UemError
from uemdask.network.device import choose_device


def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_without_a_gpu_the_cpu_is_used_and_said(monkeypatch):
    without_gpu(monkeypatch)
    device, sentence = choose_device()
    assert device.type == "cpu"
    assert "No GPU" in sentence
    assert "CPU" in sentence
    assert sentence.endswith(".")


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Some GPU")
    device, sentence = choose_device("auto")
    assert device.type == "cuda"
    assert "Some GPU" in sentence
    assert choose_device("cuda:1").device.index == 1
    with pytest.raises(UemError, match="finds 2"):
        choose_device("cuda:2")


@pytest.mark.parametrize("wish", ["gpu", "meta", "cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, wish):
    without_gpu(monkeypatch)
    with pytest.raises(UemError, match=wish):
        choose_device(wish)
