"""Text from names, files and logs does nothing to a terminal or a page."""

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from uemdask.printable import one_line, printable
from uemdask_cli.plain_stream import PlainStream

HOSTILE = "a\x1b]0;title\x07b\x9b31mc\rd\x00e\u202ef\x7f"


def is_fit(text):
    """Return whether a text has no control character, no turn of direction, no half character."""
    controls = {s for s in text if unicodedata.category(s) in ("Cc", "Cs")} - set("\n\t")
    return not controls and not set(text) & set("\u202e\u2066\u2028")


@given(st.text())
def test_no_text_has_control_characters_left(text):
    assert is_fit(printable(text))
    assert printable(printable(text)) == printable(text)
    assert printable(json.dumps(text, ensure_ascii=False)).encode()
    assert "\n" not in one_line(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_keeps_its_meaning(text):
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_what_is_no_control_character_stays():
    text = "Größe 3 µm – 波 \u202f±\tx\n"
    assert printable(text) is text
    assert printable(3) == 3
    assert isinstance(printable(Markup("<b>\x1b</b>")), Markup)


def test_a_stream_takes_plain_text_alone():
    inner = io.StringIO()
    PlainStream(inner).write(HOSTILE)
    assert is_fit(inner.getvalue())
    with pytest.raises(TypeError):
        PlainStream(inner).write(b"x")
    assert not hasattr(PlainStream(inner), "buffer")  # nobody goes behind its back


@pytest.mark.parametrize(
    "command",
    [
        ["run", "{}", "--dry-run"],
        ["cluster", "check", "{}.yaml"],
        ["--debug", "info", "{}"],
    ],
)
def test_no_command_passes_them_on(uemdask, tmp_path, command):
    name = HOSTILE.replace("\x00", "")
    (tmp_path / name).mkdir()
    (tmp_path / f"{name}.yaml").write_text(f"runs: [{{raw: {json.dumps(name)}}}]\n", "utf-8")
    code = 1 if "--debug" in command else 2
    done = uemdask(*(part.format(name) for part in command), cwd=tmp_path, expect=code)
    said = done.stdout + done.stderr
    assert "\\u001b]0;title" in said
    assert is_fit(said)
