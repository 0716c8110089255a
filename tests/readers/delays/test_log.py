"""Logs of a delay stage program, as written by hand and by the simulator."""

import math
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays import read_log
from uemdask.simulate import LogRow, image_name, write_log

#: As programs in the field write it: ctime() ends its line itself, so a blank line follows.
NEW = (
    "[Info Directory\t]\tD:\\data\\Ge\n"
    "[Base Name ]\tGe\n"
    "[Date\t]\tFri Aug 16 12:00:00 2019\n"
    "[Number of Steps\t]\t3\n"
    "[Number of Scans\t]\t1\n"
    "\t\n"
    "[Column Descriptions\t]:\tStep,Delay,Scan,Scan Step,File Name,Time\n"
    "\n"
    "\t\n"
    ",,,,,\n"
    "1,-30.000000,0,1,Ge_0_1_-30ps.dm4,Fri Aug 16 12:00:00 2019\n"
    "\n"
    "2,5.000000,0,2,Ge_0_2_5ps.dm4,Fri Aug 16 12:00:30 2019\n"
    "\n"
    "3,0.000000,0,3,Ge_0_3_0ps.dm4,Fri Aug 16 12:01:00 2019\n"
    "\n"
    "4,-30.000000,1,1,Ge_1_1_-30ps.dm4,Fri Aug 16 12:01:30 2019\n"
    "\n"
    "5,5.000000,1,2,Ge_1_2_5ps.dm4,Fri Aug 16 12:02:00 2019\n"
    "\n"
    "6,0.000000,1,3,Ge_1_3_0ps.dm4,Fri Aug 16 12:02:30 2019\n"
    "\n"
)
#: Each row begins with a number of its own, and names a file without its ending.
OLD = (
    "[Base Name ]\tMoS2 flake, A\n"
    "[Number of Steps\t]\t2\n"
    "[Column Descriptions\t]:\tStep,Delay,Scan,Scan Step,File Name,Time\n"
    ",,,,,\n"
    "0,1,-10,0,1,MoS2_0_1_-10ps,12:03:11\n"
    "1,2,20,0,2,MoS2_0_2_20ps,12:03:41\n"
)


@pytest.fixture
def log(tmp_path):
    def log(text, encoding="utf-8"):
        path = tmp_path / "Ge.ulg"
        path.write_bytes(text.encode(encoding))
        return read_log(path)

    return log


def test_a_new_log(log):
    found = log(NEW)
    assert found.delays == (-30, 5, 0, -30, 5, 0)
    assert found.scans == (1, 1, 1, 2, 2, 2)
    assert found.files[0] == "Ge_0_1_-30ps.dm4"
    assert found.files[-1] == "Ge_1_3_0ps.dm4"
    assert found.notes == ()
    assert found.source.endswith("Ge.ulg")
    assert found.facts == {
        "base_name": "Ge",
        "date": "Fri Aug 16 12:00:00 2019",
        "info_directory": "D:\\data\\Ge",
        "number_of_steps": 3,
        "number_of_scans": 1,
    }


def test_an_old_log(log):
    found = log(OLD)
    assert found.delays == (-10, 20)
    assert found.scans == (1, 1)
    assert found.files == ("MoS2_0_1_-10ps", "MoS2_0_2_20ps")
    assert found.notes == ()
    assert found.facts == {"base_name": "MoS2 flake, A", "number_of_steps": 2}


def test_an_old_log_with_new_times(log):
    text = OLD.replace("12:03:11", "Fri Mar 15 12:03:11 2019\n")
    assert log(text).delays == (-10, 20)
    assert log(text).files == ("MoS2_0_1_-10ps", "MoS2_0_2_20ps")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_line_ends_and_letters_of_windows(log, ending, encoding):
    text = NEW.replace("Ge_", "Müller_").replace("\n", ending)
    assert log(text, encoding).files[1] == "Müller_0_2_5ps.dm4"
    assert log(text, encoding).facts["number_of_steps"] == 3


def test_commas_in_a_file_name_belong_to_it(log):
    assert log(NEW.replace("Ge_", "Ge, 80 K_")).files[1] == "Ge, 80 K_0_2_5ps.dm4"
    assert log(OLD.replace("MoS2_", "MoS2, 80 K_")).files[1] == "MoS2, 80 K_0_2_20ps"


def test_a_header_without_its_line_end(log):
    glued = NEW.replace("2019\n[Number of Steps", "2019[Number of Steps")
    assert log(glued).facts["number_of_steps"] == 3
    assert log(glued).facts["date"] == "Fri Aug 16 12:00:00 2019"


def test_tenths_are_logged_tenfold(log):
    # The program writes 10.5 ps as '105x10ps' in the name and as 105 in the log.
    text = NEW.replace("5.000000", "105.000000").replace("5ps", "105x10ps")
    found = log(text.replace("-30.0", "-5.0").replace("-30ps", "-5x10ps"))
    assert found.delays == (-0.5, 10.5, 0, -0.5, 10.5, 0)
    (note,) = found.notes
    assert note.startswith("4 delays are logged tenfold, as file names such as Ge_0_1_-5x10ps.dm4")


def test_delays_that_are_not_tenfold_stay(log):
    text = NEW.replace("5.000000", "10.500000").replace("5ps", "105x10ps")
    assert log(text).delays == (-30, 10.5, 0, -30, 10.5, 0)
    assert log(text).notes == ()


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (NEW.replace(",Delay,", ",Delay (fs),"), 1e-3),
        (NEW.replace(",Delay,", ",Delay_ns,"), 1e3),
        (NEW.replace("[Number of Steps", "[Delay Units\t]\tfs\n[Number of Steps"), 1e-3),
        (NEW.replace("5.000000", "0.005 ns").replace("30.000000", "30000fs"), 1),
    ],
)
def test_stated_units_are_taken(log, text, unit):
    assert log(text).delays[:3] == pytest.approx((-30 * unit, 5 * unit, 0))


@pytest.mark.parametrize(("unit", "factor"), [("fs", 1e-3), ("ns", 1e3)])
def test_the_names_beside_equal_numbers_state_the_unit(log, unit, factor):
    found = log(NEW.replace("ps.dm4", f"{unit}.dm4"))
    assert found.delays[:3] == pytest.approx((-30 * factor, 5 * factor, 0))
    assert found.notes == (f"delays are taken in {unit}, as the file names in the log state it",)


def test_other_numbers_in_names_state_no_unit(log):
    assert log(NEW.replace("_5ps", "_7fs").replace("ps.", "fs.")).delays[:3] == (-30, 5, 0)


def test_a_column_of_scans_that_says_nothing_gives_way_to_names(log):
    # A program that always writes scan 0.
    found = log(NEW.replace(",1,", ",0,"))
    assert found.scans == (1, 1, 1, 2, 2, 2)
    unnamed = NEW.replace(",1,", ",0,").replace("Ge_0_", "a").replace("Ge_1_", "b")
    assert log(unnamed).scans is None


def test_counts_of_the_header_are_checked(log):
    assert log(NEW.replace("Steps\t]\t3", "Steps\t]\t4")).notes == (
        "the header counts 4 steps a scan; scan 1 holds 3, scan 2 holds 3",
    )
    assert log(NEW.replace("Scans\t]\t1", "Scans\t]\t5")).notes == (
        "the header counts 5 scans; the rows hold 2",
    )
    for agreed in (0, 1, 2):  # a fixed 0, the repeats, all scans
        assert log(NEW.replace("Scans\t]\t1", f"Scans\t]\t{agreed}")).notes == ()


def test_all_damaged_rows_are_listed(log):
    text = NEW.replace("5.000000,0", "nan,0").replace(",0.000000,1", ",,1")
    text = text.replace("4,-30.000000,1,1,Ge_1_1_-30ps.dm4", "4,-30.000")
    with pytest.raises(FaultsError) as caught:
        log(text.replace("5,5.000000,1,2", "5,5.000000,x,2"))
    assert [fault.partition(":")[0] for fault in sorted(caught.value.faults)] == [
        "row 2 (line 13)",
        "row 4 (line 17)",
        "row 5 (line 19)",
        "row 6 (line 21)",
    ]
    assert "'nan' is not a delay" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "\n\n", NEW[: NEW.index("1,-30")], "ULog\x01\x12\x35\x00\x01"]
)
def test_what_holds_no_rows_is_no_log(log, text):
    with pytest.raises(UemError, match=r"Ge\.ulg: holds no rows"):
        log(text)


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(UemError, match=r"none\.ulg: cannot be read"):
        read_log(tmp_path / "none.ulg")


@pytest.mark.parametrize("form", ["new", "old"])
def test_a_log_cut_off_anywhere_gives_its_whole_rows_and_says_so(tmp_path, form):
    rows = _rows([-30.0, 5.25, 0.0, -30.0, 5.25, 0.0], steps=3)
    write_log(tmp_path / "Ge.ulg", rows, form)
    data = (tmp_path / "Ge.ulg").read_bytes()
    whole = read_log(tmp_path / "Ge.ulg")
    assert whole.notes == ()
    counts = []
    # From the end of the first row on.
    start = data.index(rows[0].file.removesuffix(".dm4").encode()) + 40
    for stop in range(start, len(data)):
        (tmp_path / "cut.ulg").write_bytes(data[:stop])
        found = read_log(tmp_path / "cut.ulg")
        count = len(found.delays)
        assert found.delays == whole.delays[:count]
        assert found.files == whole.files[:count]
        assert found.scans == whole.scans[:count]
        if count not in (3, 6):
            assert any("the header counts 3 steps a scan" in note for note in found.notes)
        counts.append(count)
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    assert counts == sorted(counts)


# ---- round trips and fuzz


def _rows(delays, steps=None):
    steps = steps or len(delays)
    start = datetime(2019, 8, 16, 12, 0, 0)
    return [
        LogRow(
            delay,
            scan=i // steps + 1,
            step=i % steps + 1,
            file=image_name("Ge", i // steps + 1, i % steps + 1, delay),
            taken=start + timedelta(seconds=30 * i),
        )
        for i, delay in enumerate(delays)
    ]


_DELAYS = (
    st.integers(-5000, 5000).map(float)
    | st.integers(-50_000, 50_000).map(lambda tenths: tenths / 10)
    | st.floats(-1e4, 1e4).map(lambda delay: round(delay, 3) + 0.0)
)


@given(
    st.lists(_DELAYS, min_size=1, max_size=12, unique=True),
    st.integers(1, 3),
    st.sampled_from(["new", "old"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100)
def test_a_written_log_reads_back_exactly(tmp_path_factory, delays, scans, form, random):
    path = tmp_path_factory.getbasetemp() / "Ge.ulg"
    taken = [d for _ in range(scans) for d in random.sample(delays, len(delays))]
    write_log(path, _rows(taken, len(delays)), form)
    found = read_log(path)
    assert found.delays == tuple(taken)
    assert found.scans == tuple(i // len(delays) + 1 for i in range(len(taken)))
    assert found.facts["number_of_steps"] == len(delays)
    assert found.notes == ()
    if form == "new":
        assert found.files == tuple(row.file for row in _rows(taken, len(delays)))


def test_any_log_gives_finite_delays_or_an_error_for_people(tmp_path_factory, answers, damaged):
    @given(
        damaged(NEW).map(str.encode)
        | damaged(OLD).map(lambda text: text.encode("utf-8", "replace"))
        | st.binary(max_size=80)
        | st.from_regex(
            r"\A(\[[A-Z a-z\t]{0,9}\]:?[a-z0-9 ,]{0,9}\n){0,2}"
            r"([0-9]{1,2},[-0-9.eanx]{0,6},[0-9]?,[0-9]?,[a-z_0-9.]{0,12}(ps|fs)?(\.dm4)?,[0-9:]{0,5}\n+){1,4}",
        ).map(str.encode)
    )
    @settings(max_examples=300)
    @answers
    def any_of_them(data):
        path = tmp_path_factory.getbasetemp() / "any.ulg"
        path.write_bytes(data)
        found = read_log(path)
        assert found.delays
        assert all(map(math.isfinite, found.delays))
        assert found.files is None or len(found.files) == len(found.delays)
        assert found.scans is None or (
            len(found.scans) == len(found.delays) and min(found.scans) > 0
        )

    any_of_them()
    assert answers.share > 0.02


# ---- numbers as other countries write them


def _lines(*delays, index=False):
    rows = [
        f"{f'{i},' if index else ''}{i + 1},{delay},0,{i + 1},Ge_0_{i + 1}.dm4,12:00"
        for i, delay in enumerate(delays)
    ]
    return "\n".join([NEW[: NEW.index("1,-30")], *rows, ""])


@pytest.mark.parametrize("index", [False, True])
def test_decimal_commas_do_not_move_the_columns(log, index):
    found = log(_lines("-30,500000", "−5,250000", "0,000000", "5,500000", index=index))
    assert found.delays == (-30.5, -5.25, 0, 5.5)
    assert found.scans == (1,) * 4
    assert found.files[0] == "Ge_0_1.dm4"


def test_whole_delays_of_an_old_log_are_no_decimals(log):
    assert log(_lines(10, 20, 30, index=True)).delays == (10, 20, 30)


def test_a_log_that_may_be_either_is_not_guessed(log):
    with pytest.raises(UemError, match=r"may be 500000 or 1,500000; write its decimals with a po"):
        log(_lines("1,500000", "3,500000", "4,500000"))


def test_names_with_grouped_digits_still_state_the_unit(log):
    text = _lines("1000.0", "1500.0").replace("Ge_0_1", "Ge_1,000fs")
    assert log(text.replace("Ge_0_2", "Ge_1,500fs")).delays == (1, 1.5)
