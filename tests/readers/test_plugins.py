"""Readers that users' own packages bring."""

import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from written_files import WRITERS, check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image, is_image, read_image, read_images

_READER = """
    import numpy as np
    from uemdask.readers import ImageInfo

    def describe(path, dataset):
        frames, y, x = np.fromfile(path, "<u4", 3)
        return ImageInfo(int(frames), (int(y), int(x)), "uint16", (2.0, 3.0), {"dataset": dataset})

    def read(path, indices, dataset):
        frames, y, x = (int(n) for n in np.fromfile(path, "<u4", 3))
        for index in indices:
            yield np.fromfile(path, "<u2", y * x, offset=12 + index * y * x * 2).reshape(y, x)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package as pip does: a module, and its entry points."""

    def install(name, source, endings):
        site = tmp_path / f"site_{name}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(textwrap.dedent(source))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{ending} = {name}\n" for ending in endings)
        (info / "entry_points.txt").write_text(f"[uemdask.readers]\n{lines}")
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.fixture
def own(tmp_path, stack):
    path = tmp_path / "a.uem1"
    path.write_bytes(np.array(stack.shape, "<u4").tobytes() + stack.astype("<u2").tobytes())
    return path


def test_an_installed_reader_reads_its_files(install, own, stack):
    with pytest.raises(UemError, match=r"files ending in '\.uem1' cannot be read"):
        describe_image(own)
    install("own_reader", _READER, ["uem1", "uem2"])
    assert is_image(own)
    assert check_stack(own, stack).pixel_size == (2.0, 3.0)
    assert describe_image(own, "second").vendor == {"dataset": "second"}


def test_the_reader_in_the_docs_works(install, own, stack):
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    (source,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    install("documented_reader", source, ["uem1"])
    info = check_stack(own, stack)
    assert (info.pixel_size, info.vendor) == ((2.5, 2.5), {"camera": "ours"})


def test_looking_at_a_folder_imports_no_reader(install, own):
    install("own_reader", "raise RuntimeError('imported')", ["uem1"])
    assert is_image(own)
    assert "own_reader" not in sys.modules


def test_a_user_s_reader_goes_before_ours(install, own, stack):
    install("own_reader", _READER, ["h5"])
    check_stack(own.rename(own.with_suffix(".h5")), stack)


def test_a_broken_reader_breaks_only_its_own_files(install, tmp_path, own, stack):
    install("broken_reader", "import no_such_library", ["uem1"])
    with pytest.raises(UemError) as error:
        describe_image(own)
    assert str(error.value) == (
        f"{own}: the installed reader broken_reader of files ending in '.uem1' cannot be loaded "
        f"(ModuleNotFoundError: No module named 'no_such_library'); repair or uninstall it"
    )
    for name in ("a.tif", "a.dm3", "a.h5"):
        WRITERS[name](tmp_path / name, stack)
        check_stack(tmp_path / name, stack)


def test_a_reader_without_its_functions_is_named(install, own):
    install("half_reader", "def describe(path, dataset): ...", ["uem1"])
    with pytest.raises(UemError, match=r"half_reader of .* has no function read; repair or"):
        describe_image(own)


def test_two_readers_of_one_ending_are_named(install, own):
    install("one_reader", _READER, ["uem1"])
    install("other_reader", _READER, ["uem1"])
    with pytest.raises(UemError, match="one_reader and other_reader both want to read files"):
        describe_image(own)


def test_faults_of_a_reader_are_told_as_those_of_the_file(install, own, stack):
    install(
        "failing_reader",
        """
        def describe(path, dataset):
            raise KeyError("header")

        def read(path, indices, dataset):
            raise RuntimeError("two lines\\nof words.")
        """,
        ["uem1"],
    )
    with pytest.raises(UemError, match=r"cannot be opened as \.uem1 file \('header'\); copy it"):
        describe_image(own)
    with pytest.raises(UemError, match=r"frame 2 cannot be read \(two lines\); the file may be"):
        read_image(own, 2, stack.shape[1:], "uint16")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("None", r"gives no ImageInfo but NoneType; repair or uninstall it"),
        ("ImageInfo(0, (4, 5), 'uint16')", r"holds 0 frames of \(4, 5\) px; check the file"),
        ("ImageInfo(3, (4, 0), 'uint16')", r"holds 3 frames of \(4, 0\) px; check the file"),
        ("ImageInfo(3, (4, 5), 'complex64')", r"holds complex64 values; only integer or real"),
        ("ImageInfo(3, (4, 5), 'grey')", r"cannot be opened as \.uem1 file \(.*grey.*\); copy"),
    ],
)
def test_what_a_reader_says_is_checked(install, own, returned, words):
    install(
        "odd_reader",
        f"""
        from uemdask.readers import ImageInfo

        def describe(path, dataset):
            return {returned}

        def read(path, indices, dataset):
            return iter(())
        """,
        ["uem1"],
    )
    with pytest.raises(UemError, match=words):
        describe_image(own)


def test_a_reader_that_gives_too_few_frames_is_told(install, own, stack):
    install("short_reader", _READER + "            return\n", ["uem1"])
    with pytest.raises(UemError, match=r"a\.uem1: frame 2 cannot be read \(the file has no more"):
        list(read_images(own, [1, 2], stack.shape[1:], "uint16"))
