"""Names and messages of others never steer a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_twostream import inspection
from keras_twostream._printing import (
    SHARE_DIGITS,
    check_names,
    is_printable,
    percent,
    printable,
)
from keras_twostream.errors import SpecError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("line\nbreak", "line\\nbreak"),
        ("evil\u202egpj.exe", "evil\\u202egpj.exe"),
        ("lone \udc80", "lone \\udc80"),
        (
            "\u043f\u0440\u044b\u0436\u043e\u043a",
            "\u043f\u0440\u044b\u0436\u043e\u043a",
        ),
        (
            "\u0645\u06cc\u200c\u062f\u0648\u062f",
            "\u0645\u06cc\u200c\u062f\u0648\u062f",
        ),
    ],
)
def test_controls_become_visible(text, shown):
    assert printable(text) == shown


@given(st.floats(0, 1))
def test_a_share_reads_the_same_from_a_document(share):
    assert percent(round(share, SHARE_DIGITS)) == percent(share)


@given(st.text(st.characters()))
def test_no_control_is_left(text):
    shown = printable(text)
    assert is_printable(shown)
    shown.encode("utf-8")
    assert printable(shown) == shown


def test_a_message_keeps_its_lines():
    assert printable("a\nb\x07", keep="\n") == "a\nb\\x07"


@pytest.mark.parametrize("name", ["", " ", "a\x1b[2J", "a\nb"])
def test_names_of_classes_are_refused(name):
    with pytest.raises(SpecError, match="name of a class"):
        check_names(["run", name])
    from small_model import small_model

    with pytest.raises(SpecError, match="name of a class"):
        inspection.update_card(small_model(), classes=["a", name, "c"])
