"""The device is chosen, and said in a plain sentence."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from uemdask.errors import UemError
from uemdask.network.device import choose_device, choose_devices, data_device, to_device


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


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Some GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (10 * 2**30, 16 * 2**30))


@pytest.mark.parametrize(("images", "count"), [(3, 1), (12, 3), (16, 4), (64, 4)])
def test_a_training_takes_the_gpus_that_it_can_keep_busy(four_gpus, images, count):
    devices, sentence = choose_devices(images=images)
    assert len(devices) == count
    assert len(set(devices)) == count
    assert {device.type for device in devices} == {"cuda"}
    assert "Some GPU" in sentence
    assert (f"{count} GPUs" in sentence) == (count > 1)


def test_as_many_gpus_as_asked_for_or_an_error(four_gpus):
    assert len(choose_devices(2, images=64).devices) == 2
    assert len(choose_devices(4, images=1).devices) == 4
    with pytest.raises(UemError, match="'processes' is 5, but a training sees 4 GPUs"):
        choose_devices(5, images=64)
    with pytest.raises(UemError, match="sees 1 GPU of"):  # this one and no other
        choose_devices(2, images=64, wish="cuda:1")


def test_processes_on_the_cpu_share_its_threads(monkeypatch):
    without_gpu(monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert choose_devices(images=64).devices == (torch.device("cpu"),)
    devices, sentence = choose_devices(2, images=64)
    assert devices == (torch.device("cpu"),) * 2
    assert sentence.endswith("with 8 threads, in 2 processes of 4 threads.")


def test_data_are_held_on_the_gpu_where_they_fit(four_gpus):
    gpu, cpu = torch.device("cuda", 1), torch.device("cpu")
    assert data_device(4 * 2**30, gpu) == gpu
    assert data_device(6 * 2**30, gpu) == cpu  # the network's features need room as well
    assert data_device(1, cpu) == cpu


def test_what_is_on_the_device_is_not_copied():
    tensor = torch.ones(3)
    assert to_device(tensor, "cpu") is tensor
    assert to_device(tensor, "meta").is_meta


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_what_is_on_the_gpu_is_not_pinned_whether_or_not_it_has_a_number(name):
    with FakeTensorMode():  # `choose_device` says "cuda", but a tensor is on "cuda:0"
        tensor = torch.empty(3, device="cuda:0")
        assert to_device(tensor, name) is tensor
