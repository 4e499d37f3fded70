"""The picture of a stress: what stands where, read from its own pixels."""

import os
import re
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from guard.cli import plot
from guard.cli.plot import StressCurve, draw_stress
from guard.errors import ConfigError

MOVES = (-0.5, -0.25, 0.0, 0.25, 0.5)
COLUMN = 400  # Somewhere inside, where no label stands.


def level(name, ratio):
    return StressCurve(name=name, moves=MOVES, ratios=(ratio,) * len(MOVES), ends_at=())


def drawn(path, *curves, title="main: all prices together"):
    draw_stress(path, curves, title)
    with Image.open(path) as picture:
        return picture.convert("RGB")


def middle_row(picture, colour, column=COLUMN):
    """Return the middle of the rows that have a colour in one column; None: none has."""
    wanted = ImageColor.getrgb(colour)
    rows = [row for row in range(picture.height) if _near(picture.getpixel((column, row)), wanted)]
    return sum(rows) / len(rows) if rows else None


def middle_column(picture, colour, row):
    wanted = ImageColor.getrgb(colour)
    columns = [column for column in range(picture.width) if _near(picture.getpixel((column, round(row))), wanted)]
    return sum(columns) / len(columns) if columns else None


def _near(pixel, wanted):
    return all(abs(one - other) < 40 for one, other in zip(pixel, wanted, strict=True))


def test_the_picture_is_a_png_of_the_size_of_a_phone(tmp_path):
    path = tmp_path / "stress.png"

    picture = drawn(path, level("USDT cross", 0.4))

    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert picture.size == (1200, 750)
    assert path.stat().st_size < 100_000


def test_the_red_line_stands_where_the_requirement_is_the_balance(tmp_path):
    picture = drawn(tmp_path / "stress.png", level("USDT cross", 0.3), level("BTC cross", 0.9))

    at_30, at_90 = (middle_row(picture, plot.COLOURS[index]) for index in (0, 1))
    expected = at_90 - (at_30 - at_90) / 6

    assert middle_row(picture, plot.LIQUIDATION) == pytest.approx(expected, abs=1)
    assert at_90 < at_30


def test_each_end_has_a_dot_on_the_red_line_at_its_move_and_its_label(tmp_path):
    left = StressCurve(name="USDT cross", moves=MOVES, ratios=(None, None, 0.1, 0.1, 0.1), ends_at=(-0.25,))
    right = StressCurve(name="BTC cross", moves=MOVES, ratios=(0.1, 0.1, 0.1, 0.1, 2.0), ends_at=(0.3,))

    picture = drawn(tmp_path / "stress.png", left, right)

    line = middle_row(picture, plot.LIQUIDATION)
    dots = [middle_column(picture, colour, line) for colour in plot.COLOURS[:2]]
    now = next(found for row in range(60, 80) if (found := middle_column(picture, plot.INK, line + row)))  # Dashed.
    assert (now - dots[0]) / (dots[1] - now) == pytest.approx(25 / 30, abs=0.02)
    for dot, beside, colour in ((dots[0], -65, plot.COLOURS[0]), (dots[1], 65, plot.COLOURS[1])):
        label = picture.crop((round(dot + beside - 45), round(line - 40), round(dot + beside + 45), round(line - 8)))
        assert any(middle_row(label, colour, column=column) is not None for column in range(label.width))


def test_a_ratio_beyond_the_scale_and_a_balance_that_is_gone_are_not_drawn(tmp_path):
    gone = StressCurve(name="USDT cross", moves=MOVES, ratios=(None, None, 5.0, 5.0, 5.0), ends_at=())

    picture = drawn(tmp_path / "stress.png", gone)

    below_legend = picture.crop((0, 150, 1200, 750))
    assert middle_row(picture, plot.COLOURS[0], column=60) is not None
    assert all(middle_row(below_legend, plot.COLOURS[0], column=column) is None for column in range(100, 1200, 50))


def test_what_ends_first_is_named_first_and_what_finds_no_place_is_grey(tmp_path):
    curves = [
        StressCurve(
            name=f"COIN{number}/USDT:USDT long isolated", moves=MOVES, ratios=(0.5,) * 5, ends_at=(-number / 40,)
        )
        for number in range(12, 0, -1)
    ]

    picture = drawn(tmp_path / "stress.png", *curves)

    line = middle_row(picture, plot.LIQUIDATION, column=800)
    first, second, grey = (middle_column(picture, colour, line) for colour in (*plot.COLOURS[:2], plot.UNNAMED))
    assert grey < second < first


@pytest.mark.parametrize("curves", [(), (StressCurve(name="x", moves=(0.0,), ratios=(0.5,), ends_at=()),)])
def test_a_picture_with_hardly_anything_in_it_is_still_a_picture(tmp_path, curves):
    picture = drawn(tmp_path / "stress.png", *curves, title="")

    assert middle_row(picture, plot.LIQUIDATION) is not None


def test_names_of_any_script_and_length_are_drawn(tmp_path):
    assert drawn(tmp_path / "stress.png", level("€" * 300, 0.4), title="кошелёк " * 60).size == (1200, 750)


@pytest.mark.parametrize(
    ("moves", "shown"), [((-0.2, 0.2), "-20 % +20 %"), ((-1.0, 10.0), "-100 % +1000 %"), ((0.0, 1.0), "0 % +100 %")]
)
def test_the_scale_ends_at_its_ticks_and_has_few_of_them(moves, shown):
    ticks = plot._ticks(*moves)

    first, last = re.fullmatch(r"(\S+ %) (\S+ %)", shown).groups()
    assert 4 < len(ticks) <= 12
    assert (plot._percent(ticks[0]), plot._percent(ticks[-1])) in {(first, last), ("0 %", last)}


@pytest.mark.parametrize("name", ["missing/stress.png", "."])
def test_a_picture_that_cannot_be_written_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / name

    with pytest.raises(ConfigError) as refusal:
        draw_stress(path, [level("USDT cross", 0.4)], "main")

    assert len(refusal.value.problems) == 1
    assert str(refusal.value) == f"{path}: the picture cannot be written: {_reason(path)}"


def _reason(path: Path) -> str:
    with pytest.raises(OSError) as failure:
        os.open(path, os.O_WRONLY | os.O_CREAT)
    return failure.value.strerror
