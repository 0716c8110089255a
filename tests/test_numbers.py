"""Numbers as people and programs write them: what is written comes back, or is refused."""

import math
import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.numbers import (
    MINUS,
    PLUS,
    AmbiguousNumberError,
    decimal_mark,
    parse_number,
    split_quantity,
)

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
GROUPS = {"": ".,", ",": ".", ".": ",", "'": ".,", "’": ".,", "_": ".", "\u00a0": ".,",
          "\u2009": ".,", "\u202f": ".,", "\u2007": ".,"}  # fmt: skip


def grouped(digits, mark):
    first = len(digits) % 3 or 3
    return mark.join([digits[:first], *(digits[i : i + 3] for i in range(first, len(digits), 3))])


@st.composite
def written(draw):
    """Return a float and a text that states it to the last digit, and its decimal mark."""
    value = draw(st.floats(allow_nan=False, allow_infinity=False, width=64))
    sign = draw(st.sampled_from(MINUS)) if math.copysign(1, value) < 0 else ""
    sign = sign or draw(st.sampled_from(["", *PLUS]))
    mark = draw(st.sampled_from(".,"))
    text, _, exponent = repr(abs(value)).partition("e")
    if exponent:
        form = draw(st.sampled_from(["e", "E", "^", "**", "superscript"]))
        power = str(int(exponent))
        tail = {
            "^": f"×10^{power}",
            "**": f"*10**{power}",
            "superscript": f" · 10{power.translate(SUPERSCRIPTS)}",
        }.get(form, f"{form}{power}")
        return value, sign + text.replace(".", mark) + tail, mark
    whole, _, part = text.partition(".")
    group = draw(st.sampled_from([g for g, marks in GROUPS.items() if mark in marks]))
    return value, f"{sign}{grouped(whole, group)}{mark}{part}", mark


def readings(text, mark=None):
    """Return the number that a text is, or the two that it may be."""
    try:
        return (parse_number(text, mark),)
    except AmbiguousNumberError as error:
        return error.readings


def column(texts):
    mark = decimal_mark(texts, strict=True, ordered=True)
    return [readings(text, mark) for text in texts]


@given(written())
def test_every_way_of_writing_comes_back_exactly(case):
    value, text, mark = case
    assert parse_number(text, mark) == value
    # Alone a single point is a decimal mark: 1.000 is one.
    assert value in readings(text) or (mark == "," and "." in text)


@given(
    written(), st.sampled_from(["ps", "fs", "nm", "µs", "mJ/cm²", ""]), st.sampled_from(["", " "])
)
def test_a_unit_is_told_from_its_number(case, unit, blank):
    _, text, _ = case
    assert split_quantity(f" {text}{blank}{unit} ") == (text, unit)


@given(st.lists(st.integers(-(10**7), 10**7), min_size=3, unique=True), st.sampled_from(".,"))
def test_a_column_of_grouped_integers_is_read_or_refused(values, mark):
    # As Excel writes whole numbers with separators; rising, as a plan of delays does.
    texts = [
        f"{'-' if value < 0 else ''}{grouped(str(abs(value)), mark)}" for value in sorted(values)
    ]
    assume(not (mark == "." and all(text.count(".") == 1 for text in texts)))  # none can tell
    found = column(texts)
    assert all(value in either for value, either in zip(sorted(values), found, strict=True))
    # All are clear, or each that is not is refused.
    assert {len(either) for either, text in zip(found, texts, strict=True) if mark in text} != {
        1,
        2,
    }


@given(
    st.lists(st.integers(-999_999, 999_999), min_size=3, max_size=9),
    st.integers(0, 4),
    st.sampled_from(".,"),
)
def test_a_column_of_fixed_decimals_is_read_or_refused(values, places, mark):
    numbers = [value / 10**places for value in values]
    texts = [f"{number:.{places}f}".replace(".", mark) for number in numbers]
    found = column(texts)
    assert all(number in either for number, either in zip(numbers, found, strict=True))
    assert (places, mark) == (3, ",") or all(len(either) == 1 for either in found)


def test_any_text_is_a_finite_number_or_an_error(answers, damaged):
    @given(
        damaged("-1.25e3")
        | damaged("1,250")
        | st.text(max_size=12)
        | st.text("0123456789.,'_eE+-−–xX×^10 \u00a0²³⁻", max_size=12)
    )
    @answers
    def any_of_them(text):
        value = parse_number(text)
        assert math.isfinite(value)

    any_of_them()
    assert answers.share > 0.01


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("−30", -30),
        ("‐30", -30),
        ("‑2.5", -2.5),
        ("‒2", -2),
        ("–2", -2),
        ("—2", -2),
        ("－２", -2),
        ("⁻2", -2),
        ("＋2", 2),
        ("1'234.5", 1234.5),
        ("1’234’567", 1234567),
        ("1\u202f234,5", 1234.5),
        ("1_000", 1000),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1234,567", 1234.567),  # four digits: not grouped
        ("0,125", 0.125),  # no group begins with a zero
        (",5", 0.5),
        ("1.234", 1.234),
        ("1e2", 100),
        ("1.5E−3", 0.0015),
        ("1,234e3", 1234),
        ("10^3", 1000),
        ("2·10⁻³", 0.002),
        ("1 x 10^3", 1000),
        ("\ufeff\u200e-5\u00a0", -5),  # what a clipboard leaves
        ("٣", 3),
        ("-0", 0),
    ],
)
def test_one_reading(text, value):
    assert parse_number(text) == value
    assert math.copysign(1, parse_number(text)) == math.copysign(1, value)


@pytest.mark.parametrize(
    "text",
    ["", "-", "1 234", "12,34,567", "1_0", "1.2.3", "1,2,3", "0'500", "1'23", "(5)", "5-", "- 5",
     "\u00ad5", "±5", "1e999", "nan", "inf", "0x10", "1x103", "1·5", "1/2", "½", "1e", "²"],
)  # fmt: skip
def test_what_is_written_otherwise_is_refused(text):
    with pytest.raises(UemError):
        parse_number(text)


def test_two_readings_are_both_named():
    with pytest.raises(AmbiguousNumberError, match=r"'1,234' may be 1234 or 1\.234; write one"):
        parse_number("1,234")
    with pytest.raises(AmbiguousNumberError, match=r"'1\.234' may be 1\.234 or 1234"):
        parse_number("1.234", "")  # in a column that does not tell
    error = pickle.loads(pickle.dumps(AmbiguousNumberError("x", (1.0, 2.0))))
    assert str(error) == "x may be 1 or 2; write one of these"


@pytest.mark.parametrize(
    ("column", "mark"),
    [
        (["-0,5", "0", "1.000"], ","),
        (["0.5", "1,000"], "."),
        (["1.234,5", "1.000"], ","),
        (["1000", "1,500"], ","),  # a thousand that is not grouped
        (["1'000", "1,500"], ","),
        (["-500", "0", "500", "1,000"], "."),  # rises only so
        (["-500", "0", "500", "1.000"], ","),
        (["0", "500", "1.250", "1.000"], ""),  # in no order
        (["0", "1.250", "2.500"], ""),  # in order both ways
        (["1.000", "1.250"], "."),
        (["1,000", "1,250"], ""),
        (["1.5", "2,5", "1.000"], ""),  # two hands
        (["later", "2,5"], ","),
        ([], "."),
    ],
)
def test_a_column_tells_its_mark(column, mark):
    assert decimal_mark(column, strict=True, ordered=True) == mark


def test_where_points_group_no_digits_a_column_of_them_is_clear():
    assert decimal_mark(["0", "1.250"]) == "."
    assert decimal_mark(["0", "1.125"], strict=True) == "."  # as programs write what they computed
    assert decimal_mark(["0", "1.250"], strict=True) == ""
