"""Any glyph, however written and scanned, becomes the MNIST picture of itself."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.normalize import glyph, normalize, picture
from digitocr.types import Ink, Segments

Grey = NDArray[np.uint8]


def drawn(text: str = "5", height: int = 80, stroke: int = 5, margin: int = 12) -> Grey:
    """A digit in strokes ``stroke`` wide, 255 on 0."""
    scale = height / 21.5  # Hershey's simplex digits are 21 units high
    field = np.zeros((height + 2 * margin, height + 2 * margin), np.uint8)
    origin = (margin, height + margin)
    cv2.putText(field, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke, cv2.LINE_AA)
    return field


def trimmed(ink: Grey) -> Grey:
    """The ink without its margins."""
    left, top, width, height = cv2.boundingRect(ink)
    return ink[top : top + height, left : left + width]


def difference(one: Grey, other: Grey) -> float:
    """The mean distance of two pictures' pixels, as a share of their ink."""
    distance = np.abs(one.astype(int) - other.astype(int)).sum()
    return float(distance / max(1, int(one.sum())))


@pytest.mark.parametrize("text", list("0123456789"))
def test_it_fits_the_twenty_pixel_box_at_the_centre_of_mass(text: str) -> None:
    made = glyph(drawn(text))
    _left, _top, width, height = cv2.boundingRect(made)
    moments = cv2.moments(made)
    assert made.shape == (28, 28) and made.dtype == np.uint8
    assert max(width, height) == 20
    assert moments["m10"] / moments["m00"] == pytest.approx(14, abs=1)
    assert moments["m01"] / moments["m00"] == pytest.approx(14, abs=1)
    assert made.min() == 0 and made.max() == 255


def test_aspect_is_kept() -> None:
    bar = np.zeros((100, 100), np.uint8)
    bar[10:90, 30:70] = 255
    _left, _top, width, height = cv2.boundingRect(glyph(bar))
    assert (width, height) == (10, 20)


def test_where_it_lies_does_not_matter() -> None:
    ink = drawn("7")
    moved = np.roll(np.pad(ink, 30), (17, -9), axis=(0, 1))
    assert np.array_equal(glyph(ink), glyph(moved))


@pytest.mark.parametrize("height", [40, 60, 120, 200])
def test_the_resolution_does_not_matter(height: int) -> None:
    small = glyph(drawn("3", height, stroke=max(2, round(height / 14))))
    assert difference(glyph(drawn("3", 84, stroke=6)), small) < 0.35


@pytest.mark.parametrize("stroke", [1, 2, 3, 5])
def test_fine_strokes_survive_the_reduction(stroke: int) -> None:
    made = glyph(drawn("2", 120, stroke))
    widths = [int((row > 127).sum()) for row in made if (row > 127).any()]
    assert len(widths) >= 19
    assert np.median(widths) >= 2


def test_faint_ink_is_brought_to_full_strength() -> None:
    ink = drawn("8")
    assert difference(glyph(ink), glyph(ink // 4)) < 0.05


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (30, 20)])
def test_no_ink_is_an_empty_picture(shape: tuple[int, int]) -> None:
    assert not glyph(np.zeros(shape, np.uint8)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_odd_shapes_of_ink_have_a_picture_too(shape: tuple[int, int]) -> None:
    assert glyph(np.full(shape, 255, np.uint8)).max() == 255


def paper(ink: Grey) -> Grey:
    """Ink on white paper."""
    return np.asarray(255 - ink, np.uint8)


def test_polarity_does_not_matter() -> None:
    assert difference(picture(paper(drawn("4"))), picture(drawn("4"))) < 0.02


def test_colour_and_transparency_do_not_matter() -> None:
    ink = drawn("6")
    expected = picture(paper(ink))
    red = np.full((*ink.shape, 3), (150, 220, 250), np.uint8)
    red[ink > 127] = (40, 40, 190)
    clear = np.zeros((*ink.shape, 4), np.uint8)
    clear[..., 3] = ink
    white = np.full((*ink.shape, 4), 255, np.uint8)
    white[..., 3] = ink
    for coloured in (red, clear, white):
        assert difference(expected, picture(coloured)) < 0.25


def test_shading_of_the_paper_does_not_matter() -> None:
    ink = drawn("9")
    shade = np.linspace(0.5, 1.0, ink.shape[1])
    assert difference(picture(paper(ink)), picture((paper(ink) * shade).astype(np.uint8))) < 0.25


def test_specks_and_what_enters_from_the_border_are_left_out() -> None:
    ink = drawn("5")
    dirty = ink.copy()
    dirty[5:7, 50:52] = 255
    dirty[:, :4] = 255
    assert difference(picture(ink), picture(dirty)) < 0.05


def test_a_pencils_grainy_stroke_is_one_stroke() -> None:
    ink = drawn("0")
    grains = np.random.default_rng(3).random((13, 13)) < 0.35
    gaps = cv2.resize(grains.astype(np.uint8), ink.shape[::-1], interpolation=cv2.INTER_NEAREST)
    grainy = np.where((gaps > 0) & (np.indices(ink.shape)[0] % 3 == 0), 0, ink).astype(np.uint8)
    assert difference(picture(paper(ink)), picture(paper(grainy))) < 0.3


def test_a_digit_that_touches_the_border_is_whole() -> None:
    ink = drawn("5")[18:]
    apart = ink.copy()
    apart[6:8] = 0  # between the five and its flag, which lies at the border
    flag = slice(0, 8)
    assert apart[0].any()
    assert picture(paper(apart))[flag].sum() > 0.5 * picture(paper(ink))[flag].sum() > 0


@pytest.mark.parametrize("text", list("0123456789"))
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom", "both"])
def test_a_rule_that_the_digit_touches_is_left_out(text: str, side: str) -> None:
    ink = drawn(text)
    left, top, width, height = cv2.boundingRect(ink)
    at = {"left": left, "right": left + width - 3, "top": top, "bottom": top + height - 3}
    ruled = ink.copy()
    for one in ("left", "bottom") if side == "both" else (side,):
        place = slice(at[one], at[one] + 3)
        ruled[(slice(None), place) if one in ("left", "right") else place] = 255
    before, after = difference(picture(ink), glyph(ruled)), difference(picture(ink), picture(ruled))
    assert after < before or after < 0.1
    assert after < 0.45


def penned(*strokes: list[tuple[float, float]], size: tuple[int, int] = (56, 76)) -> Grey:
    """Strokes of 5 pixels, 255 on 0; corners are shares of the picture's width and height."""
    ink = np.zeros(size[::-1], np.uint8)
    for stroke in strokes:
        corners = (np.array(stroke) * (np.array(size) - 1)).round().astype(np.int32)
        cv2.polylines(ink, [corners], False, 255, 5, cv2.LINE_AA)
    return ink


STEMS = {
    "1": [[(0, 0.35), (0.7, 0), (0.7, 1)]],
    "4": [[(0.75, 1), (0.75, 0), (0, 0.65), (1, 0.65)]],
    "open 4": [[(0.05, 0.2), (0, 0.6), (1, 0.55)], [(0.7, 0), (0.7, 1)]],
    "9": [[(0.8, 0.4), (0.4, 0.55), (0, 0.3), (0.4, 0), (0.8, 0.2)], [(0.8, 0), (0.8, 1)]],
    "E": [[(1, 0), (0.1, 0), (0.1, 1), (1, 1)], [(0.1, 0.5), (0.9, 0.5)]],
    "H": [[(0.1, 0), (0.1, 1)], [(0.9, 0), (0.9, 1)], [(0.1, 0.5), (0.9, 0.5)]],
    "K": [[(0.1, 0), (0.1, 1)], [(0.9, 0), (0.1, 0.5), (0.9, 1)]],
}


@pytest.mark.parametrize("letter", STEMS)
def test_a_stem_is_no_rule(letter: str) -> None:
    """Where its letter fills the picture, it runs from border to border as rules do."""
    ink = penned(*STEMS[letter])
    assert difference(glyph(ink), picture(paper(ink))) < 0.05


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_neighbour_that_is_cut_off_at_the_side_is_left_out(share: float) -> None:
    three, eight = (trimmed(drawn(text)) for text in "38")
    three = np.pad(three, ((0, 0), (14, 4)))
    height, width = eight.shape
    cut = np.zeros((height + 10, three.shape[1] + round(share * width)), np.uint8)
    cut[5 : 5 + len(three), : three.shape[1]] = three
    cut[5 : 5 + height, three.shape[1] :] = eight[:, : round(share * width)]
    for turn in (slice(None), slice(None, None, -1)):  # from the right, from the left
        assert difference(glyph(three[:, turn]), picture(paper(cut[:, turn]))) < 0.05


def test_a_fives_flag_that_runs_out_of_the_picture_stays() -> None:
    body = [(0.35, 0.3), (0.32, 0.55), (0.5, 0.55), (0.55, 0.75), (0.35, 0.9)]
    ink = penned(body, [(0.48, 0.3), (1, 0.26)], size=(80, 80))
    assert difference(glyph(ink), picture(paper(ink))) < 0.05


@pytest.mark.parametrize("shape", [(0, 5), (40, 40), (40, 40, 3), (40, 40, 4), (3000, 20)])
def test_an_empty_paper_is_an_empty_picture(shape: tuple[int, ...]) -> None:
    grain = np.random.default_rng(0).integers(200, 204, shape).astype(np.uint8)
    assert not picture(grain).any()


def page_of(*inks: Grey) -> tuple[Ink, Segments]:
    """Atoms side by side, as candidates: each alone, and all together."""
    row = np.hstack(inks)
    labels = np.hstack([np.where(ink > 100, k + 1, 0) for k, ink in enumerate(inks)])
    ink = Ink(
        grey=np.asarray(255 - row, np.uint8),
        mask=np.where(row > 100, 255, 0).astype(np.uint8),
        lines=np.zeros_like(row),
        to_page=np.eye(2, 3),
        page_size=(row.shape[1], row.shape[0]),
        rotation=0,
        skew=0.0,
    )
    spans = [(k, k + 1) for k in range(len(inks))] + [(0, len(inks))]
    boxes = []
    for first, last in spans:
        left, top, width, height = cv2.boundingRect(
            ((labels > first) & (labels <= last)).astype(np.uint8)
        )
        boxes.append((left, top, left + width, top + height))
    segments = Segments(
        fields=(),
        labels=labels.astype(np.int32),
        atom_boxes=np.array(boxes[:-1], np.int32),
        field=np.zeros(len(spans), np.int32),
        span=np.array(spans, np.int32),
        boxes=np.array(boxes, np.int32),
        cuts=np.zeros(len(spans), np.uint8),
        mark=np.zeros(len(spans), np.uint8),
    )
    return ink, segments


def test_a_candidate_keeps_its_own_atoms_ink_alone() -> None:
    five, seven = drawn("5", margin=0), drawn("7", margin=0)
    crops = normalize(*page_of(five, seven))
    assert crops.shape == (3, 28, 28) and crops.dtype == np.uint8
    assert difference(glyph(five), crops[0]) < 0.1
    assert difference(glyph(seven), crops[1]) < 0.1
    assert difference(crops[0], crops[2]) > 0.5


def test_a_ruled_line_beside_the_digit_is_not_in_its_picture() -> None:
    ink, segments = page_of(drawn("3"))
    top = int(segments.boxes[0][1])
    lines = ink.lines.copy()
    lines[top - 2 : top] = 255
    grey = ink.grey.copy()
    grey[lines > 0] = 0
    ruled = Ink(grey, ink.mask, lines, ink.to_page, ink.page_size, 0, 0.0)
    assert difference(normalize(ink, segments)[0], normalize(ruled, segments)[0]) < 0.05


def test_a_picture_is_the_same_whatever_others_are_made() -> None:
    inks = [drawn(text, height) for text in "38" for height in (12, 40, 90)]
    ink, segments = page_of(*(np.pad(one, ((0, 114 - len(one)), (0, 0))) for one in inks))
    crops = normalize(ink, segments)
    for at in range(len(crops)):
        alone = np.arange(len(crops)) == at
        assert np.array_equal(normalize(ink, segments, alone), crops[alone])


def test_no_candidates_are_no_pictures() -> None:
    ink, segments = page_of(drawn("1"))
    none = replace(segments, span=segments.span[:0], boxes=segments.boxes[:0])
    crops = normalize(ink, none)
    assert crops.shape == (0, 28, 28) and crops.dtype == np.uint8


def test_arguments_are_not_changed() -> None:
    ink, segments = page_of(drawn("2"), drawn("4"))
    pixels = paper(drawn("2"))
    for array in (ink.grey, ink.mask, ink.lines, segments.labels, segments.boxes, pixels):
        array.setflags(write=False)
    normalize(ink, segments)
    picture(pixels)
    glyph(pixels)
