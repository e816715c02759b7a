"""Components and their neighbours."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from digitocr.components import (
    boxes_and_areas,
    chains,
    closed_runs,
    find_components,
    neighbours,
    packed,
    runs_of,
    spread,
)


def test_components_are_counted_with_their_boxes_and_areas() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 3:5] = 255
    mask[10:12, 20:28] = 255
    parts = find_components(packed(mask))
    assert parts.boxes.tolist() == [[3, 2, 5, 6], [20, 10, 28, 12]]
    assert parts.areas.tolist() == [8, 16]
    assert parts.widths.tolist() == [2, 8]
    assert parts.heights.tolist() == [4, 2]


def test_components_are_taken_with_their_runs() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 3:5] = mask[10:12, 20:28] = mask[15, 1] = 255
    parts = find_components(packed(mask)).take(np.array([2, 0]))
    assert parts.boxes.tolist() == [[1, 15, 2, 16], [3, 2, 5, 6]]
    assert parts.areas.tolist() == [1, 8]
    assert parts.runs.T.tolist() == [[row, 3, 5, 1] for row in range(2, 6)] + [[15, 1, 2, 0]]


def test_an_empty_mask_has_no_components_but_the_right_types() -> None:
    parts = find_components(packed(np.zeros((9, 7), np.uint8)))
    assert parts.boxes.shape == (0, 4)
    assert parts.boxes.dtype == np.int32
    assert parts.areas.dtype == np.int32


def test_diagonal_pixels_are_one_component() -> None:
    mask = np.zeros((6, 6), np.uint8)
    np.fill_diagonal(mask, 255)
    assert len(find_components(packed(mask)).boxes) == 1


def test_components_are_those_opencv_finds_in_its_order() -> None:
    random = np.random.default_rng(3)
    for share, width in ((0.0, 9), (0.02, 83), (0.3, 64), (0.5, 8), (0.6, 83), (1.0, 16)):
        mask = (random.random((61, width)) < share).astype(np.uint8) * np.uint8(255)
        count, labels = cv2.connectedComponents(mask, connectivity=8)
        parts = find_components(packed(mask))
        painted = np.zeros(mask.shape, np.int32)
        for row, start, end, part in parts.runs.T:
            painted[row, start:end] = part + 1
        assert np.array_equal(painted, labels)
        assert parts.shape == mask.shape
        assert len(parts.boxes) == len(parts.areas) == count - 1


def test_runs_are_closed_as_a_mask_is() -> None:
    random = np.random.default_rng(4)
    for share, width, reach in (
        (0.0, 9, 2),
        (0.05, 83, 3),
        (0.1, 64, 1),
        (0.3, 83, 0),
        (0.5, 5, 7),
    ):
        mask = (random.random((61, width)) < share).astype(np.uint8) * np.uint8(255)
        window = np.ones((1, 2 * reach + 1), np.uint8)
        closed = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, window), np.uint8)
        runs = closed_runs(runs_of(mask), reach, width)
        assert runs.dtype == np.int32
        assert np.array_equal(runs, runs_of(closed))


def test_holes_are_taken_for_paper() -> None:
    for width in (40, 43):
        mask = np.full((20, width), 255, np.uint8)
        columns = np.zeros(width, bool)
        columns[10:13] = True
        ink = packed(mask)
        parts = find_components(ink, [(0, 20, columns)])
        assert parts.boxes.tolist() == [[0, 0, 10, 20], [13, 0, width, 20]]
        assert np.array_equal(ink.rows, packed(mask).rows)


def test_a_stroke_that_winds_up_and_down_is_one_component() -> None:
    mask = np.zeros((65, 64), np.uint8)
    mask[:, ::4] = 255
    mask[0, 0::8] = mask[0, 1::8] = mask[0, 2::8] = mask[0, 3::8] = 255
    mask[-1, 5::8] = mask[-1, 6::8] = mask[-1, 7::8] = 255
    parts = find_components(packed(mask))
    assert parts.boxes.tolist() == [[0, 0, 64, 65]]
    assert parts.areas.tolist() == [np.count_nonzero(mask)]


def test_neighbours_are_those_a_slow_look_at_every_pair_finds() -> None:
    random = np.random.default_rng(0)
    corner = random.integers(0, 300, (60, 2))
    boxes = np.hstack([corner, corner + random.integers(3, 30, (60, 2))]).astype(np.int32)
    reach = random.uniform(0, 40, 60)
    pairs = set(zip(*(indices.tolist() for indices in neighbours(boxes, reach)), strict=True))
    expected = set()
    for a in range(60):
        for b in range(60):
            left = (boxes[a, 0], a) < (boxes[b, 0], b)
            shared = min(boxes[a, 3], boxes[b, 3]) - max(boxes[a, 1], boxes[b, 1])
            least = min(boxes[a, 3] - boxes[a, 1], boxes[b, 3] - boxes[b, 1])
            if left and boxes[b, 0] <= boxes[a, 2] + reach[a] and 2 * shared >= least:
                expected.add((a, b))
    assert pairs == expected


def test_chains_group_what_is_linked_directly_or_not() -> None:
    group = chains(6, np.array([0, 1, 4]), np.array([1, 2, 5]))
    assert group[0] == group[1] == group[2]
    assert group[4] == group[5]
    assert len({int(group[0]), int(group[3]), int(group[4])}) == 3


def test_chains_are_numbered_by_their_first_members_as_scipy_does() -> None:
    random = np.random.default_rng(1)
    for count in (2, 30, 400):
        first, second = random.integers(0, count, (2, count // 2))
        links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
        _, expected = connected_components(links, directed=False)
        assert np.array_equal(chains(count, first, second), expected)


def test_a_component_is_measured_as_opencv_measures_it() -> None:
    random = np.random.default_rng(2)
    for share in (0.02, 0.3, 0.6, 1.0):
        mask = (random.random((61, 83)) < share).astype(np.uint8) * np.uint8(255)
        parts = find_components(packed(mask))
        _, _, measured, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        left_top = parts.boxes[:, :2]
        ours = np.column_stack([left_top, parts.widths, parts.heights, parts.areas])
        assert np.array_equal(ours, measured[1:])
        boxes, areas = boxes_and_areas(runs_of(mask))
        also = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], areas])
        assert sorted(also.tolist()) == sorted(measured[1:].tolist())


def test_no_things_make_no_groups() -> None:
    none = np.zeros(0, np.int64)
    assert len(chains(0, none, none)) == 0


def test_ranges_are_spread_one_after_the_other() -> None:
    of, number = spread(np.array([3, 7, 5]), np.array([5, 7, 6]))
    assert of.tolist() == [0, 0, 2]
    assert number.tolist() == [3, 4, 5]
