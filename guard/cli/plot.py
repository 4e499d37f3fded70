"""The stress curve as a picture: how near each pool comes to liquidation while all prices move together.

Drawn at twice its size and brought down, so that lines are smooth. Pillow's own font has ASCII only, so labels have no
other signs. Imported by what draws, when it draws: nothing else needs Pillow.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from guard.errors import ConfigError

WIDTH, HEIGHT = 1200, 750  # Readable on a phone that shows it 400 points wide.
DRAWN_AT = 2
RATIO_MAX = 1.2
RATIO_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
TICKS_MAX = 10
BEYOND_ENDS = 1.3  # So much more than the furthest end is shown: further out nothing happens.
SHOWN_MIN = 0.1
NEARLY = 1e-9  # A scale that ends at a tick shows it, whatever its last digit is.
TICK_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0)
LEGEND_ROWS_MAX = 3
NAME_MAX = 32

PAPER, INK, FAINT, GRID, UNNAMED = "#ffffff", "#1f2933", "#52606d", "#e4e7eb", "#b8c0c9"
LIQUIDATION, BEYOND = "#d11a2a", "#fdeff0"
# Told apart by those who see few colours as well (Okabe and Ito), and none of them near to the red of liquidation.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#7f5539", "#111111", "#8a8d00")

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressCurve:
    """One pool under one move of all prices. Moves are fractions: -0.2 is a fall by 20 %."""

    name: str
    moves: tuple[float, ...]  # Ascending.
    ratios: tuple[float | None, ...]  # Requirement / balance at each move. None: no balance is left.
    ends_at: tuple[float, ...]  # The moves that liquidate it: none, one, or one on each side.

    @property
    def nearest_end(self) -> float:
        return min(map(abs, self.ends_at), default=float("inf"))


def draw_stress(path: Path, curves: Sequence[StressCurve], title: str) -> None:
    """Write the curves as a PNG file, what ends first named first. Raises ConfigError where it cannot be written."""
    picture = BytesIO()
    _Picture(curves, title).image().save(picture, "PNG", optimize=True)
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise ConfigError(f"{path}: the picture cannot be written: {error.strerror}") from error


def _percent(move: float) -> str:
    """Return a move as people write it, with as many digits as it needs: -23.4 %, +40 %."""
    text = f"{move * 100:+.1f}".removesuffix(".0")
    return "0 %" if text in {"+0", "-0"} else f"{text} %"


def _plain(name: str) -> str:
    ascii_only = name.encode("ascii", "replace").decode("ascii")
    return ascii_only if len(ascii_only) <= NAME_MAX else f"{ascii_only[: NAME_MAX - 2]}.."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where the curves stand on the paper."""

    left: float
    top: float
    right: float
    bottom: float
    lowest: float
    highest: float

    def x(self, move: float) -> float:
        return self.left + (move - self.lowest) / (self.highest - self.lowest) * (self.right - self.left)

    def y(self, ratio: float) -> float:
        return self.bottom - min(max(ratio, 0.0), RATIO_MAX) / RATIO_MAX * (self.bottom - self.top)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A curve with its own colour and its place in the legend."""

    curve: StressCurve
    colour: str
    place: tuple[float, float]


class _Picture:
    """Everything is measured in pixels of the finished picture."""

    def __init__(self, curves: Sequence[StressCurve], title: str) -> None:
        self._curves, self._title = sorted(curves, key=lambda curve: curve.nearest_end), title
        self._image = Image.new("RGB", (WIDTH * DRAWN_AT, HEIGHT * DRAWN_AT), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._taken: list[Box] = []  # By labels, so that none covers another.

    def image(self) -> Image.Image:
        size = next((size for size in (34, 28, 22) if self._width(self._title, size=size) < WIDTH - 80), 18)
        self._text((40, 24), self._title, size=size)
        named = self._named()
        unnamed = self._curves[len(named) :]
        lowest, highest = _shown(self._curves)
        frame = _Frame(
            left=100,
            top=self._legend(named) + 86,
            right=WIDTH - 56,
            bottom=HEIGHT - 92,
            lowest=lowest,
            highest=highest,
        )
        self._grid(frame)
        for curve in unnamed:
            self._curve(frame, curve, UNNAMED, width=3)
        for one in reversed(named):
            self._curve(frame, one.curve, one.colour, width=5)
        self._scales(frame, len(unnamed))
        for curve in unnamed:
            self._dots(frame, curve, UNNAMED)
        for one in reversed(named):
            self._dots(frame, one.curve, one.colour)
        for one in named:
            self._end_labels(frame, one)
        return self._image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)

    # What stands still ----------------------------------------------------------------------------------------------

    def _named(self) -> list[_Named]:
        """Return as many curves as there are colours and places for, what ends first first."""
        named: list[_Named] = []
        x, y, row = 40.0, 84.0, 1
        for curve, colour in zip(self._curves, COLOURS, strict=False):
            width = 52 + self._width(_plain(curve.name), size=24) + 34
            if x + width > WIDTH - 20 and x > 40:
                if row == LEGEND_ROWS_MAX:
                    break
                x, y, row = 40.0, y + 34, row + 1
            named.append(_Named(curve=curve, colour=colour, place=(x, y)))
            x += width
        return named

    def _legend(self, named: Sequence[_Named]) -> float:
        """Write the names, and return how far down they reach."""
        for one in named:
            x, y = one.place
            self._line([(x, y + 9), (x + 40, y + 9)], one.colour, width=6)
            self._text((x + 52, y), _plain(one.curve.name), size=24)
        return max((one.place[1] for one in named), default=50.0)

    def _grid(self, frame: _Frame) -> None:
        self._box((frame.left, frame.top, frame.right, frame.y(1)), BEYOND)
        for ratio in RATIO_TICKS:
            self._line([(frame.left, frame.y(ratio)), (frame.right, frame.y(ratio))], GRID, width=1.5)
        for move in _ticks(frame.lowest, frame.highest):
            self._line([(frame.x(move), frame.top), (frame.x(move), frame.bottom)], GRID, width=1.5)
        if frame.lowest <= 0 <= frame.highest:
            x, y = frame.x(0), frame.top
            while y < frame.bottom:
                self._line([(x, y), (x, min(y + 10, frame.bottom))], INK, width=2)
                y += 18

    def _scales(self, frame: _Frame, unnamed: int) -> None:
        for left, right in ((0, frame.left), (frame.right, WIDTH)):
            self._box((left, frame.top, right, HEIGHT), PAPER)  # Curves go on beyond what is shown.
        for ratio in RATIO_TICKS:
            self._text((frame.left - 14, frame.y(ratio)), f"{ratio:.1f}", size=24, colour=FAINT, anchor="rm")
        for move in _ticks(frame.lowest, frame.highest):
            text, colour = ("0 % = now", INK) if move == 0 else (_percent(move), FAINT)
            self._text((frame.x(move), frame.bottom + 14), text, size=24, colour=colour, anchor="mt")
        self._line([(frame.left, frame.bottom), (frame.right, frame.bottom)], FAINT, width=2)
        self._line([(frame.left, frame.y(1)), (frame.right, frame.y(1))], LIQUIDATION, width=3)
        more = f" (grey: {unnamed} more)" if unnamed else ""
        caption = f"margin ratio = requirement / balance{more}"
        self._text((40, frame.top - 22), caption, size=24, colour=FAINT, anchor="ls")
        self._text((frame.right, frame.top - 22), "1 = liquidation", size=24, colour=LIQUIDATION, anchor="rs")
        middle = (frame.left + frame.right) / 2
        self._text((middle, HEIGHT - 14), "move of all prices, %", size=24, colour=FAINT, anchor="ms")

    # The curves -----------------------------------------------------------------------------------------------------

    def _curve(self, frame: _Frame, curve: StressCurve, colour: str, *, width: float) -> None:
        """Draw a curve up to the upper edge; what is above it, or has no balance left, is not drawn."""
        ratios = [RATIO_MAX if ratio is None else min(ratio, RATIO_MAX) for ratio in curve.ratios]
        run: list[tuple[float, float]] = []
        for (move, ratio), (next_move, next_ratio) in pairwise(zip(curve.moves, ratios, strict=True)):
            if ratio >= RATIO_MAX and next_ratio >= RATIO_MAX:
                self._line(run, colour, width=width)
                run = []
                continue
            run = run or [(frame.x(move), frame.y(ratio))]
            run.append((frame.x(next_move), frame.y(next_ratio)))
        self._line(run, colour, width=width)

    def _dots(self, frame: _Frame, curve: StressCurve, colour: str) -> None:
        for move in curve.ends_at:
            place = (frame.x(move), frame.y(1))
            self._dot(place, 11, PAPER)
            self._dot(place, 8, colour)
            self._taken.append((place[0] - 12, place[1] - 48, place[0] + 12, place[1] + 48))

    def _end_labels(self, frame: _Frame, one: _Named) -> None:
        """Write where a curve ends beside its dot, at the first place that no nearer end has taken."""
        for move in one.curve.ends_at:
            x, y, text = frame.x(move), frame.y(1), _percent(move)
            for anchor, place in _places(x, y, outwards="rs" if move < 0 else "ls"):
                if not self._is_taken(self._extent(place, text, anchor)):
                    self._label(place, text, one.colour, anchor=anchor)
                    break

    # Strokes --------------------------------------------------------------------------------------------------------

    def _line(self, points: Sequence[tuple[float, float]], colour: str, *, width: float) -> None:
        if len(points) > 1:
            scaled = [(x * DRAWN_AT, y * DRAWN_AT) for x, y in points]
            self._draw.line(scaled, fill=colour, width=round(width * DRAWN_AT), joint="curve")

    def _box(self, box: Box, colour: str) -> None:
        left, top, right, bottom = (side * DRAWN_AT for side in box)
        self._draw.rectangle((left, top, right, bottom), fill=colour)

    def _dot(self, place: tuple[float, float], radius: float, colour: str) -> None:
        x, y, r = place[0] * DRAWN_AT, place[1] * DRAWN_AT, radius * DRAWN_AT
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _text(
        self,
        place: tuple[float, float],
        text: str,
        *,
        size: int,
        colour: str = INK,
        anchor: str = "lt",
        halo: float = 0,
    ) -> None:
        self._draw.text(
            (place[0] * DRAWN_AT, place[1] * DRAWN_AT),
            text.encode("ascii", "replace").decode("ascii"),
            fill=colour,
            font=_font(size),
            anchor=anchor,
            stroke_width=halo * DRAWN_AT,
            stroke_fill=PAPER,
        )

    def _label(self, place: tuple[float, float], text: str, colour: str, *, anchor: str) -> None:
        self._taken.append(self._extent(place, text, anchor))
        self._text(place, text, size=26, colour=colour, anchor=anchor, halo=3)

    def _width(self, text: str, *, size: int) -> float:
        return self._draw.textlength(text, font=_font(size)) / DRAWN_AT

    def _extent(self, place: tuple[float, float], text: str, anchor: str) -> Box:
        scaled = (place[0] * DRAWN_AT, place[1] * DRAWN_AT)
        left, top, right, bottom = self._draw.textbbox(scaled, text, font=_font(26), anchor=anchor, stroke_width=6)
        return (left / DRAWN_AT, top / DRAWN_AT, right / DRAWN_AT, bottom / DRAWN_AT)

    def _is_taken(self, box: Box) -> bool:
        left, top, right, bottom = box
        return (
            left < 0
            or right > WIDTH
            or any(
                left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in self._taken
            )
        )


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * DRAWN_AT)


def _places(x: float, y: float, *, outwards: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield places beside a dot and below it, first on the side where its pool is gone and no line is."""
    for up in (-16, 40, 80, 114, 148):
        for anchor in sorted(("rs", "ls"), key=lambda anchor: anchor != outwards):
            yield anchor, (x - 16 if anchor == "rs" else x + 16, y + up)


def _shown(curves: Sequence[StressCurve]) -> tuple[float, float]:
    """Return the lowest and the highest move to show: those that are known, but not far beyond the last end."""
    moves = [move for curve in curves for move in (*curve.moves, *curve.ends_at)]
    lowest, highest = min(moves, default=0.0), max(moves, default=0.0)
    ends = [move for curve in curves for move in curve.ends_at]
    if ends:
        furthest = max(SHOWN_MIN, *(BEYOND_ENDS * abs(move) for move in ends))
        below, above = (max((BEYOND_ENDS * sign * move for move in ends), default=0.0) for sign in (-1, 1))
        lowest = max(lowest, -max(below, SHOWN_MIN) if below > 0 else -furthest)
        highest = min(highest, max(above, SHOWN_MIN) if above > 0 else furthest)
    return lowest, highest if highest > lowest else lowest + 1


def _ticks(lowest: float, highest: float) -> list[float]:
    step = next((step for step in TICK_STEPS if (highest - lowest) / step <= TICKS_MAX), highest - lowest)
    first, last = math.ceil(lowest / step - NEARLY), math.floor(highest / step + NEARLY)
    return [count * step for count in range(first, last + 1)]
