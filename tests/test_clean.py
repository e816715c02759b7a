"""What cleaning promises: straight, upright ink, rules apart, and a map back to the page."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitocr.clean import clean
from digitocr.recipe import CleanOptions
from digitocr.types import Ink, Page

Grey = NDArray[np.uint8]
OPTIONS = CleanOptions()
SENTENCE = "Ledger of the third parish, filled by hand and held till the debt is paid"


def form(height: int = 1500, width: int = 1100, paper: int = 245, ink: int = 30) -> Grey:
    """Printed lines and rows of cells with digits in them, at about 130 dpi."""
    page = np.full((height, width), paper, np.uint8)
    for row, top in enumerate(range(120, height - 120, 90)):
        if row % 3 == 2:
            cells(page, (100, top - 40), 8, ink)
        else:
            text(page, SENTENCE[row % 7 :], (100, top), 0.8, ink)
    return page


def letter(height: int = 1500, width: int = 1100) -> Grey:
    """A page of print with a few cells in it."""
    page = np.full((height, width), 245, np.uint8)
    for row, top in enumerate(range(120, height - 120, 50)):
        if row % 9 != 5:
            text(page, SENTENCE[row % 7 :], (100, top), 0.8, 30)
    cells(page, (100, 330), 8, 30)
    return page


def text(page: Grey, words: str, at: tuple[int, int], size: float, ink: int) -> None:
    cv2.putText(page, words, at, cv2.FONT_HERSHEY_TRIPLEX, size, ink, 1, cv2.LINE_AA)


def cells(page: Grey, corner: tuple[int, int], count: int, ink: int) -> None:
    left, top = corner
    for k in range(count):
        x = left + 50 * k
        cv2.rectangle(page, (x, top), (x + 50, top + 60), ink, 2)
        cv2.putText(page, str(k), (x + 13, top + 45), 0, 1.2, ink, 3, cv2.LINE_AA)


def tilted(page: Grey, degrees: float, paper: int = 245) -> Grey:
    """The page with its lines running downhill by ``degrees``."""
    height, width = page.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    picture = cv2.warpAffine(page, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=paper)
    return np.asarray(picture, dtype=np.uint8)


def noisy(page: Grey, sigma: float) -> Grey:
    grain = np.random.default_rng(7).normal(0, sigma, page.shape)
    return np.clip(page + grain, 0, 255).astype(np.uint8)


def bilevel(page: Grey) -> Grey:
    return np.where(page < 140, 0, 255).astype(np.uint8)


def cleaned(pixels: NDArray[np.uint8], dpi: float | None = 130.0, **options: bool) -> Ink:
    return clean(Page(1, pixels, dpi), CleanOptions(**options))


def on_page(ink: Ink, picture: Grey) -> Grey:
    """A picture of the ink's, 0 where there is nothing, as large as the upright page."""
    back = np.asarray(ink.to_page).copy()
    back[:, 2] += back[:, :2] @ (0.5, 0.5) - 0.5  # of the centres of pixels
    laid = cv2.warpAffine(picture, back, ink.page_size, flags=cv2.INTER_NEAREST)
    return np.asarray(laid, dtype=np.uint8)


def parts(mask: Grey) -> int:
    """How many components of ink there are."""
    return int(cv2.connectedComponents(mask, connectivity=8)[0]) - 1


@pytest.mark.parametrize("degrees", [-10, -7.3, -3.05, -0.4, 0, 0.25, 1.6, 4.45, 8.8, 10])
def test_skew_is_measured_within_a_tenth_of_a_degree(degrees: float) -> None:
    page = tilted(form(), degrees)
    for picture in (page, noisy(page, 20), bilevel(page)):
        assert cleaned(picture, remove_lines=False).skew == pytest.approx(degrees, abs=0.1)


@pytest.mark.parametrize("degrees", [-6.0, 3.0])
def test_a_straightened_page_is_straight(degrees: float) -> None:
    again = cleaned(cleaned(tilted(form(), degrees), remove_lines=False).grey)
    assert abs(again.skew) <= 0.1


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("degrees", [0.0, -4.0])
def test_turned_pages_come_back_upright(turns: int, degrees: float) -> None:
    page = np.ascontiguousarray(np.rot90(tilted(letter(), degrees), turns))
    ink = cleaned(page, remove_lines=False)
    # rot90 turns counterclockwise, rotation says how far to turn clockwise.
    assert ink.rotation == 90 * turns
    assert ink.skew == pytest.approx(degrees, abs=0.1)
    assert ink.page_size == (1100, 1500)


def test_a_page_without_words_is_left_as_it_lies() -> None:
    page = np.full((800, 600), 250, np.uint8)
    cells(page, (60, 300), 8, 20)
    for turns in range(4):
        assert cleaned(np.ascontiguousarray(np.rot90(page, turns))).rotation == 0


@pytest.mark.parametrize(
    ("dpi", "degrees", "turns"), list(itertools.product([None, 130.0, 417.0], [0.0, 5.5], [0, 1]))
)
def test_the_map_leads_back_to_the_page(dpi: float | None, degrees: float, turns: int) -> None:
    upright = np.full((2000, 1600), 245, np.uint8)
    upright[250:1750, 250:1350] = letter()
    marks = [(190, 210), (1420, 205), (200, 1780), (1410, 1800)]
    for x, y in marks:
        cv2.rectangle(upright, (x - 6, y - 6), (x + 5, y + 5), 0, -1)
    upright = tilted(upright, degrees)
    found = cleaned(np.ascontiguousarray(np.rot90(upright, turns)), dpi, remove_lines=False)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for mark in marks:
        # tilted turns about (800, 1000) in coordinates of pixel centres.
        expected = turn @ (np.array(mark) - 0.5 - [800, 1000]) + [800.5, 1000.5]
        assert np.abs(nearest_blob(found, expected) - expected).max() < 1.0


def nearest_blob(ink: Ink, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centre, on the upright page, of the component nearest to where one is expected."""
    _, _, _, centres = cv2.connectedComponentsWithStats(ink.mask)
    on_page = (centres[1:] + 0.5) @ ink.to_page[:, :2].T + ink.to_page[:, 2]
    return np.asarray(on_page[np.argmin(((on_page - expected) ** 2).sum(axis=1))])


def test_rules_are_apart_from_ink_and_digits_stay_whole() -> None:
    page = np.full((400, 700), 250, np.uint8)
    cells(page, (100, 150), 8, 20)
    ink = cleaned(page)
    assert parts(ink.mask) == 8
    # Each cell is closed in the lines: its inside is a component of what is no line.
    lines = on_page(ink, ink.lines)
    _, labels = cv2.connectedComponents(cv2.bitwise_not(lines), connectivity=4)
    insides = [labels[180, 125 + 50 * k] for k in range(8)]
    assert len({int(k) for k in insides} - {int(labels[10, 10])}) == 8
    assert not on_page(ink, ink.mask)[150:210, 98:102].any()


@pytest.mark.parametrize("thickness", [1, 2, 4])
def test_strokes_that_cross_a_rule_are_not_cut(thickness: int) -> None:
    page = np.full((300, 1200), 250, np.uint8)
    for k, digit in enumerate("4718369"):
        cv2.putText(page, digit, (400 + 80 * k, 180), 0, 2.2, 20, 4, cv2.LINE_AA)
    ruled = page.copy()
    cv2.line(ruled, (20, 165), (1180, 165), 60, thickness)
    ink = cleaned(ruled)
    assert parts(ink.mask) == parts(cleaned(page).mask) == 7
    assert on_page(ink, ink.lines)[155:176, 20:1180].any(axis=0).mean() > 0.9
    assert not on_page(ink, ink.mask)[:, :390].any()


def test_dotted_and_broken_rules_go_as_well() -> None:
    page = np.full((300, 900), 250, np.uint8)
    for x in range(40, 860, 5):
        cv2.line(page, (x, 100), (x + 1, 100), 40, 2)
    for x in range(40, 860, 30):
        cv2.line(page, (x, 200), (x + 26, 200), 40, 2)
    text(page, "123", (400, 150), 1.5, 20)
    ink = cleaned(page)
    mask = on_page(ink, ink.mask)
    assert not mask[95:106].any()
    assert not mask[195:206].any()
    assert parts(mask) == 3


def test_strokes_of_digits_and_dashes_are_no_rules() -> None:
    page = np.full((300, 900), 250, np.uint8)
    text(page, "1 7 4 1 = - 11 17 - 41", (60, 160), 2.0, 20)
    ink = cleaned(page)
    assert not ink.lines.any()


def test_lines_of_print_are_no_rules() -> None:
    page = np.full((1500, 1100), 250, np.uint8)
    for top in range(100, 1400, 32):
        text(page, SENTENCE.upper() if top % 3 else SENTENCE, (60, top), 0.7, 20)
    ink = cleaned(page)
    assert np.count_nonzero(ink.lines) < 0.002 * ink.lines.size


def test_removed_rules_are_paper_in_grey() -> None:
    page = np.full((400, 700), 250, np.uint8)
    cells(page, (100, 150), 8, 20)
    ink = cleaned(page)
    assert ink.grey[ink.mask > 0].max() < 200
    between = (ink.lines > 0) & (cv2.dilate(ink.mask, np.ones((5, 5), np.uint8)) == 0)
    assert between.any()
    assert (ink.grey[between] == 255).all()


def test_decimal_points_stay_and_specks_go() -> None:
    page = np.full((300, 700), 250, np.uint8)
    text(page, "123.45", (60, 160), 2.0, 20)
    specks = np.random.default_rng(3).integers(5, 290, (60, 2))
    page[specks[:, 0], specks[:, 1] + 400] = 90
    ink = cleaned(page)
    mask = on_page(ink, ink.mask)
    assert parts(mask[:, :400]) == 6
    assert parts(mask[:, 400:]) == 0


def test_uneven_light_and_watermarks_are_paper() -> None:
    page = form().astype(np.float64)
    light = np.linspace(0.45, 1.0, page.shape[1])[None, :]
    cv2.circle(page, (500, 700), 300, 205.0, 40)
    page = np.minimum(page, form())
    inks = (
        cleaned(np.asarray(picture, dtype=np.uint8), deskew=False)
        for picture in (form(), page * light)
    )
    plain, dark = (on_page(ink, ink.mask) for ink in inks)
    assert np.count_nonzero(plain & dark) > 0.9 * np.count_nonzero(plain)
    assert np.count_nonzero(dark) < 1.15 * np.count_nonzero(plain)


def test_colour_reads_like_grey() -> None:
    grey = form()
    colour = np.stack([grey, grey, np.maximum(grey, 120)], axis=2)
    colour[grey > 200] = (190, 225, 205)
    one, other = cleaned(grey), cleaned(colour)
    assert parts(one.mask) == pytest.approx(parts(other.mask), rel=0.05)


def test_light_ink_on_dark_paper_is_ink() -> None:
    page = np.full((400, 900), 245, np.uint8)
    text(page, "0123456789", (60, 200), 2.0, 20)
    ink = cleaned(255 - page)
    assert parts(ink.mask) == 10
    assert ink.grey[0, 0] == 255


@pytest.mark.parametrize("shade", [0, 1, 60, 128, 200, 254, 255])
@pytest.mark.parametrize("grain", [0.0, 4.0, 15.0])
def test_blank_pages_have_no_ink(shade: int, grain: float) -> None:
    sigma = grain * max(shade, 60) / 255  # paper of any shade as coarse as the next
    ink = cleaned(noisy(np.full((900, 700), shade, np.uint8), sigma))
    assert not ink.mask.any()
    assert not ink.lines.any()
    assert ink.rotation == 0


def test_blank_photographed_paper_has_no_ink() -> None:
    rows, columns = np.mgrid[0:1200, 0:900]
    light = 140 + 80 * columns / 900 - 30 * np.exp(-((rows - 600) ** 2) / 40_000)
    grain = cv2.GaussianBlur(np.random.default_rng(5).normal(0, 12, light.shape), (0, 0), 1.5)
    ink = cleaned(np.clip(light + grain, 0, 255).astype(np.uint8), None)
    assert not ink.mask.any()


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3), (1, 4000), (4000, 1), (5, 2000), (40, 40), (7, 7, 3), (300, 90, 3)]
)
@pytest.mark.parametrize("dpi", [None, 72.0, 1200.0])
def test_pages_of_any_size_are_cleaned(shape: tuple[int, ...], dpi: float | None) -> None:
    for pixels in (
        np.full(shape, 255, np.uint8),
        np.zeros(shape, np.uint8),
        np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8),
    ):
        assert_whole(cleaned(pixels, dpi))


@pytest.mark.parametrize("dpi", [None, 130.0, 600.0])
def test_what_comes_out_is_of_one_size_and_type(dpi: float | None) -> None:
    page = form()
    before = page.copy()
    assert_whole(cleaned(page, dpi))
    assert (page == before).all()


def assert_whole(ink: Ink) -> None:
    assert ink.grey.dtype == ink.mask.dtype == ink.lines.dtype == np.uint8
    assert ink.grey.shape == ink.mask.shape == ink.lines.shape
    assert ink.mask.ndim == 2
    assert min(ink.mask.shape) > 0
    assert set(np.unique(ink.mask)) | set(np.unique(ink.lines)) <= {0, 255}
    assert ink.to_page.dtype == np.float64
    assert ink.to_page.shape == (2, 3)
    assert ink.rotation in (0, 90, 180, 270)
    assert abs(ink.skew) <= OPTIONS.max_skew


def test_a_fine_scan_is_read_at_working_scale() -> None:
    fine = cv2.resize(form(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    ink = cleaned(np.asarray(fine, dtype=np.uint8), 390.0, turn=False, deskew=False)
    assert np.allclose(ink.to_page[:, :2], np.eye(2) * 390 / 200, rtol=0.002)
    assert max(ink.mask.shape) < 1500 * 3 * 200 / 390


def test_each_step_can_be_left_out() -> None:
    page = np.ascontiguousarray(np.rot90(tilted(form(), 3.0), 1))
    ink = cleaned(page, turn=False, deskew=False, remove_lines=False)
    assert (ink.rotation, ink.skew) == (0, 0.0)
    assert not ink.lines.any()
    assert np.allclose(ink.to_page[:, :2], np.eye(2))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("degrees", [0.0, 2.0])
def test_bare_paper_around_a_page_changes_nothing(degrees: float, turns: int) -> None:
    page = np.ascontiguousarray(np.rot90(tilted(letter(), degrees), turns))
    with_margins = np.pad(page, ((224, 320), (160, 416)), constant_values=245)
    ink, same = cleaned(page), cleaned(with_margins)
    assert same.rotation == ink.rotation
    assert same.mask.size < 1.1 * ink.mask.size
    upright = np.rot90(np.ones(with_margins.shape, np.uint8), ink.rotation // -90)
    assert same.page_size == upright.shape[::-1]
    # Thin print falls on other fractions of pixels.
    assert np.count_nonzero(same.mask) == pytest.approx(np.count_nonzero(ink.mask), rel=0.05)


def test_what_is_faint_and_alone_in_a_corner_is_ink() -> None:
    page = letter()
    page[1470:1490, 1075:1080] = 150
    ink = cleaned(page, deskew=False)
    assert on_page(ink, ink.mask)[1470:1490, 1075:1080].all()
