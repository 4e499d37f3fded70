"""Splitting loses nothing, whatever the text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.notify.split import split

LONG_TEXT = st.lists(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
    | st.sampled_from(["\n", " ", "😀" * 50, "x" * 90]),
    max_size=30,
).map("".join)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@settings(max_examples=2000, deadline=None)
@given(LONG_TEXT, st.integers(min_value=2, max_value=80))
def test_no_character_is_lost_and_no_part_is_too_long(text, size_max):
    parts = split(text, size_max=size_max)
    assert "".join(parts) == text
    assert all(units(part) <= size_max for part in parts)


def test_parts_end_at_line_ends():
    line = "x" * 29 + "\n"
    assert split(line * 5, size_max=64) == (line * 2, line * 2, line)


def test_a_text_that_fits_stays_whole():
    assert split("x" * 4096, size_max=4096) == ("x" * 4096,)
    assert split("", size_max=4096) == ("",)


def test_characters_outside_the_basic_plane_count_twice_as_telegram_counts_them():
    assert [len(part) for part in split("😀" * 4096, size_max=4096)] == [2048, 2048]
