"""Delays from tables in many hands' writing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays import read_table


@pytest.fixture
def table(tmp_path):
    def table(text, encoding="utf-8"):
        path = tmp_path / "delays.csv"
        path.write_bytes(text.encode(encoding))
        return read_table(path)

    return table


WORDINGS = {
    "file,delay_ps": 1,
    "file,Delay": 1,
    "File Name,Delay (ps)": 1,
    "filename,delay_fs": 1e-3,
    "image,Delay (fs)": 1e-3,
    "Image,delay [ns]": 1e3,
    "frame,time (ps)": 1,
    "name,t_ns": 1e3,
    "name,t / fs": 1e-3,
    "name,dt": 1,
    "file,delay (µs)": 1e6,  # micro sign
    "file,delay (μs)": 1e6,  # Greek mu
    "file,delay_us": 1e6,
    "file,DELAY (FS)": 1e-3,
    "file,Delay/fs": 1e-3,
    "file,delay in femtoseconds": 1e-3,
    "file,delay (picoseconds)": 1,
    "file,pump-probe delay": 1,
    "file,time_delay": 1,
    "file,delay_s": 1e12,
    "file,timepoint": 1,
    "File Name,Time [fs]": 1e-3,
    "Datei,Verzögerung (fs)": 1e-3,
    "file,tau_ps": 1,
    "file,Δt / ps": 1,
}


@pytest.mark.parametrize("head", WORDINGS)
def test_heads_are_understood(table, head):
    found = table(f"{head}\na.tif,-2\nb.tif,0\nc.tif,4.5\n")
    np.testing.assert_allclose(found.delays, np.array([-2, 0, 4.5]) * WORDINGS[head])
    assert found.files == ("a.tif", "b.tif", "c.tif")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_separators_and_line_ends_of_all_systems(table, separator, ending, encoding):
    lines = ["# by the stage", "file,delay_ps", "a.tif, -2", "", "ü b.tif,3"]
    found = table(ending.join(lines).replace(",", separator) + ending, encoding)
    assert found.delays == (-2, 3)
    assert found.files == ("a.tif", "ü b.tif")


def test_decimal_commas_beside_other_separators(table):
    assert table("file;delay_ps\na.tif;-2,5\nb.tif;0,125\n").delays == (-2.5, 0.125)


def test_a_thousand_or_one_is_not_guessed(table):
    with pytest.raises(FaultsError, match="'1,000' is not a delay"):
        table("file;delay_ps\na.tif;1\nb.tif;1,000\n")


def test_units_in_the_cells_win(table):
    assert table("file,delay_ps\na.tif,-500 fs\nb.tif,2\nc.tif,1ns\n").delays == (-0.5, 2, 1000)


@pytest.mark.parametrize(
    "text",
    [
        "a.tif,-2\nb.tif,3\n",
        "time_series_delay_1.tif,-2\ntime_series_delay_2.tif,3\n",  # words in file names
    ],
)
def test_a_table_needs_no_head(table, text):
    found = table(text)
    assert found.delays == (-2, 3)
    assert found.files is not None


def test_a_table_of_delays_alone(table):
    for text in ("-2\n3\n", "delay_ps\n-2\n3\n", "-2 ps\n3 ps\n", "\n# x\nt\n-2\n3"):
        assert table(text).delays == (-2, 3)
        assert table(text).files is None


@pytest.mark.parametrize(
    "head",
    [
        "timestamp_s,file,delay_ps",
        "exposure time (s),file,Delay",
        "time,file,delay",
        "frame,file,delay_ps",
        "frame name no,file,delay_ps",
        "delay position,file,delay_ps",  # only one states a unit of time
    ],
)
def test_the_surest_columns_are_taken(table, head):
    found = table(f"{head}\n70,b.tif,-2\n71,a.tif,3\n")
    assert found.delays == (-2, 3)
    assert found.files == ("b.tif", "a.tif")


@pytest.mark.parametrize(
    ("head", "match"),
    [
        ("file,delay (mm),x", "no unit of time"),
        ("file,delay_um,x", "no unit of time"),
        ("file,delay (a.u.),x", "no unit of time"),
        ("file,delay,delay_unit", "could both"),
        ("file,delay_ps,delay_fs", "could both"),
        ("file,stage,x", "no column of delays among file, stage, x"),
    ],
)
def test_what_is_not_clear_is_not_guessed(table, head, match):
    with pytest.raises(UemError, match=match):
        table(f"{head}\na.tif,1,2\nb.tif,2,3\n")


@pytest.mark.parametrize(
    "other",
    [
        "timestamp",
        "Time Stamp",
        "time_stamp_s",
        "exposure time (s)",
        "acquisition time",
        "file time",
        "time of day",
        "datetime",
        "Start Time",
        "frame time",
        "elapsed time (s)",
    ],
)
def test_other_times_are_not_delays(table, other):
    for head in (f"{other},file,t_ps", f"{other},file,time"):
        assert table(f"{head}\n70,b.tif,-2\n71,a.tif,3\n").delays == (-2, 3)
    with pytest.raises(UemError, match=r"delays\.csv: no column of delays among"):
        table(f"{other},file\n70,b.tif\n71,a.tif\n")


@pytest.mark.parametrize("head", ["scan", "Scan No.", "scan_number", "repeat", "Sweep"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_column_of_scans_is_read(table, head, first):
    rows = "".join(f"a{i}.tif,{i % 2},{i // 2 + first}\n" for i in range(6))
    assert table(f"file,delay_ps,{head}\n{rows}").scans == (1, 1, 2, 2, 3, 3)


def test_scans_go_with_their_frame_numbers(table):
    found = table("frame,scan,delay_ps\n3,2,10\n0,1,0\n2,2,0\n1,1,10\n")
    assert found.delays == (0, 10, 0, 10)
    assert found.scans == (1, 1, 2, 2)


@pytest.mark.parametrize("head", ["scan step", "file scan", "x"])
def test_other_columns_number_no_scans(table, head):
    assert table(f"name,delay_ps,{head}\na.tif,1,1\nb.tif,2,2\n").scans is None


def test_an_empty_column_of_scans_is_none(table):
    assert table("name,delay_ps,scan\na.tif,1,\nb.tif,2,\n").scans is None


def test_faults_of_delays_and_scans_are_listed_together(table):
    with pytest.raises(FaultsError) as caught:
        table("file,delay_ps,scan\na.tif,1,1\nb.tif,nan,1\nc.tif,2,B\nd.tif,3,-1\n")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["row 2", "row 3", "row 4"]


def test_frame_numbers_give_the_order(table):
    # A shuffled acquisition logged in the order in which it was taken.
    found = table("frame,delay_ps\n2,10\n0,-10\n10,20\n1,0\n")
    assert found.files is None
    assert found.delays == (-10, 0, 10, 20)


@pytest.mark.parametrize("cell", ["", "nan", "inf", "-", "later", "3 nm"])
def test_all_rows_without_a_delay_are_listed(table, cell):
    with pytest.raises(FaultsError) as caught:
        table(f"file,delay_ps\na.tif,1\nb.tif,{cell}\nc.tif,2\nd.tif\n")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["row 2", "row 4"]
    assert "delays.csv" in caught.value.subject


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "file,delay_ps\n"])
def test_an_empty_table_is_named(table, text):
    with pytest.raises(UemError, match=r"delays\.csv: holds no rows"):
        table(text)


def test_what_is_not_text_is_named(tmp_path):
    path = tmp_path / "delays.csv"
    path.write_bytes(b"\x81\x00")
    with pytest.raises(UemError, match=r"delays\.csv: cannot be read"):
        read_table(path)
    with pytest.raises(UemError, match=r"none\.csv: cannot be read"):
        read_table(tmp_path / "none.csv")


def test_any_table_gives_finite_delays_or_an_error_for_people(tmp_path_factory, answers, damaged):
    @given(
        damaged("file,delay_ps\na.tif,-2.5\nb.tif,0\nc.tif,2.5\n")
        | damaged("delay (ps);scan\n-2,5;1\n0;1\n")
        | st.text(max_size=60)
        | st.from_regex(r"[a-z ,;\t_()]{0,20}(\n[-0-9.,;\tefnps a\"]{0,12}){0,4}")
    )
    @settings(max_examples=300)
    @answers
    def any_of_them(text):
        path = tmp_path_factory.getbasetemp() / "any.csv"
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        found = read_table(path)
        assert found.delays
        assert all(map(math.isfinite, found.delays))
        assert found.files is None or len(found.files) == len(found.delays)
        assert found.scans is None or (
            len(found.scans) == len(found.delays) and min(found.scans) > 0
        )

    any_of_them()
    assert answers.share > 0.02


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_as_excel_and_labview_write_it(table, encoding):
    mark = "" if encoding == "utf-16" else "\ufeff"
    found = table(f"{mark}Datei\tVerzögerung (ps)\r\nGrößte 1.tif\t-2,5\r\nb.tif\t0\r\n", encoding)
    assert found.files == ("Größte 1.tif", "b.tif")
    assert found.delays == (-2.5, 0.0)


def test_half_a_character_is_no_text(tmp_path):
    (tmp_path / "delays.csv").write_bytes("\ufeffa".encode("utf-16-le") + b"x")
    with pytest.raises(UemError, match="it is no text"):
        read_table(tmp_path / "delays.csv")


# ---- numbers and cells of spreadsheets


def delays_of(table, cells, separator=";", unit="fs"):
    rows = "".join(f"f_{i}.tif{separator}{cell}\r\n" for i, cell in enumerate(cells))
    return table(f"file{separator}delay ({unit})\r\n{rows}")


@pytest.mark.parametrize("minus", ["-", "−", "–", "‑", "－"])
@pytest.mark.parametrize(
    "cells",
    [
        ["{}500", "0", "1000.5"],
        ["{}500", "0", "1000,5"],
        ["{}5E2", "0", "1,0005e3"],
        ["{}500 fs", "0", "1.0005 ps"],
        ["{}500", "0", "1'000.5"],
        ["{}500", "0", "1.000,5"],
        ["{}500", "0", "1,000.5"],
        ["{}500,00", "0,00", "1\u202f000,50"],
        ["{}5×10^2", "0", "1.0005·10³"],
    ],
)
def test_every_writing_of_a_column_is_one(table, minus, cells):
    found = delays_of(table, [cell.format(minus) for cell in cells])
    assert found.delays == (-0.5, 0, 1.0005)


@pytest.mark.parametrize("mark", ",.")
def test_groups_of_digits_are_told_by_the_order_of_the_rows(table, mark):
    cells = ["-500", "0", "500", f"1{mark}000", f"1{mark}500"]
    found = delays_of(table, cells)
    assert found.delays == (-0.5, 0, 0.5, 1, 1.5)
    assert found.notes == (f"delays like '1{mark}000' are read as 1 ps, as the whole column shows",)
    with pytest.raises(FaultsError, match=rf"row 2: '1\{mark}000' is not a delay: it may be 1"):
        delays_of(table, ["500", f"1{mark}000", "0", f"1{mark}500"])


def test_both_readings_of_a_number_are_named(table):
    with pytest.raises(FaultsError, match=r"'1,250' is not a delay: it may be 1250 or 1\.25;"):
        delays_of(table, ["1,000", "1,250", "1,500"])


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;"])
def test_the_line_that_names_the_separator_is_no_head(table, first):
    found = table(f"{first}\r\nDatei;Delay (ps)\r\na.tif;-2,5\r\nb.tif;1,5\r\n")
    assert found.delays == (-2.5, 1.5)
    assert table("sep=|\nfile|delay_ps\na,b.tif|-2\nc.tif|3\n").files == ("a,b.tif", "c.tif")


def test_empty_rows_and_columns_of_a_spreadsheet_are_passed_over(table):
    text = ";;;\r\nDatei;Delay (ps);;\r\na.tif;-2,5;;\r\n;;;\r\nb.tif;1,5;;\r\n;;;\r\n;;;\r\n"
    assert table(text).delays == (-2.5, 1.5)
    assert table(text.replace(";", "\t")).files == ("a.tif", "b.tif")


@pytest.mark.parametrize("blank", ["", " "])
def test_decimal_commas_in_quotes(table, blank):
    text = f'file,delay_ps\na.tif,{blank}"-2,5"\nb.tif,{blank}"0,5"\n'
    assert table(text).delays == (-2.5, 0.5)


def test_a_number_that_was_cut_in_two_is_not_taken_by_halves(table):
    with pytest.raises(FaultsError, match="row 1: holds 3 cells, the first line 2; separate"):
        table("file,delay_ps\na.tif,-2,5\nb.tif,3,5\n")
    with pytest.raises(FaultsError, match="its delay may be '-2,5' or '5'; write a head"):
        table("a.tif,-2,5\nb.tif,3,5\n")
    assert table("a.tif,1,-25\nb.tif,1,5\n").delays == (-25, 5)  # no half has a sign


@pytest.mark.parametrize(
    ("head", "origin"),
    [
        ("file;Delay (fs)", "delays.csv, column 'Delay (fs)'"),
        ("file;Delay", "delays.csv, column 'Delay', no unit stated: ps"),
    ],
)
def test_it_is_kept_where_the_unit_is_from(table, head, origin):
    assert table(f"{head}\na.tif;1\nb.tif;2\n").origin == origin
    assert table("delay\n1 ps\n2 ps\n").origin == "delays.csv, column 'delay'"


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=8, unique=True),
    st.integers(0, 4),
    st.sampled_from([("-", "."), ("−", ","), ("–", ",")]),
    st.sampled_from("\t;"),
)
@settings(max_examples=60)
def test_delays_come_back_exactly_or_both_readings_are_named(
    tmp_path_factory, values, places, marks, separator
):
    delays = [value / 10**places for value in values]
    cells = [f"{d:.{places}f}".replace("-", marks[0]).replace(".", marks[1]) for d in delays]
    path = tmp_path_factory.getbasetemp() / "exact.csv"
    rows = [f"f_{i}.tif{separator}{cell}" for i, cell in enumerate(cells)]
    path.write_text("\n".join([f"file{separator}delay_ps", *rows]), encoding="utf-8")
    try:
        found = read_table(path).delays
    except FaultsError as error:
        doubtful = [f for f in error.faults if " may be " in f]
        assert (places, marks[1], len(doubtful)) == (3, ",", len(error.faults))  # noqa: PT017
    else:
        assert found == tuple(delays)
