"""What pens, scanners and forms do to a digit, as tensor work on whole batches.

Never a flip: it makes a 2 of a 5. Every function takes and returns float (N, 1, 28, 28),
1 is ink, and draws all its chances from one generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

__all__ = ["AugmentOptions", "augment"]


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How strong, and how often (``p_``, the share of pictures) each change is."""

    rotation: float = 12.0  # degrees, standard deviation is half of it
    shift: float = 2.0  # pixels, to either side
    scale: float = 0.12  # share, to either side
    aspect: float = 0.10  # share by which width and height part
    shear: float = 0.18  # pixels per pixel
    elastic: float = 0.9  # pixels, standard deviation at 5x5 knots (Simard et al. 2003)
    p_thicker: float = 0.15
    p_thinner: float = 0.12
    p_coarse: float = 0.10  # reduced and enlarged again
    p_blur: float = 0.10
    p_rules: float = 0.08  # remnants of a box's lines
    p_neighbour: float = 0.08  # another glyph's ink at the border
    p_contrast: float = 0.15
    p_noise: float = 0.10


def augment(
    pictures: Tensor, options: AugmentOptions, generator: Generator, *, ink: bool = True
) -> Tensor:
    """The batch as other hands, pens and scanners might have left it.

    pictures: float (N, 1, 28, 28), 0 is paper, 1 is ink; it is not changed.
    ink: False leaves the ink as it is, and changes only where it lies.
    Returns the same shape. Deterministic for a state of the generator (on the CPU).
    """
    changes: list[tuple[float, Callable[[Tensor, Generator], Tensor]]] = [
        (options.p_thicker, _thicker),
        (options.p_thinner, _thinner),
        (options.p_coarse, _coarse),
        (options.p_blur, _blurred),
        (options.p_rules, _ruled),
        (options.p_neighbour, _beside),
        (options.p_contrast, _contrast),
        (options.p_noise, _noisy),
    ]
    pictures = _bent(pictures, options, generator)
    for share, change in changes if ink else []:
        chosen = torch.nonzero(_chances(len(pictures), generator) < share).squeeze(1)
        if len(chosen):
            pictures = pictures.index_copy(0, chosen, change(pictures[chosen], generator))
    return pictures.clamp(0, 1)


def _chances(count: int, generator: Generator) -> Tensor:
    """(count,), uniform from 0 to 1."""
    return torch.rand(count, generator=generator, device=generator.device)


def _bent(pictures: Tensor, options: AugmentOptions, generator: Generator) -> Tensor:
    """Turned, moved, scaled, sheared and bent, in one interpolation."""
    count, _one, height, width = pictures.shape
    grid = F.affine_grid(_matrices(count, options, generator), list(pictures.shape), False)
    knots = torch.randn(count, 2, 5, 5, generator=generator, device=generator.device)
    bend = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
    grid = grid + bend.permute(0, 2, 3, 1) * (options.elastic * 2 / width)
    return F.grid_sample(pictures, grid, mode="bilinear", align_corners=False)


def _matrices(count: int, options: AugmentOptions, generator: Generator) -> Tensor:
    """(N, 2, 3), random affine maps in the coordinates of ``affine_grid`` (-1 to 1)."""
    device = generator.device
    uniform = torch.rand(count, 5, generator=generator, device=device) * 2 - 1
    turn = torch.randn(count, generator=generator, device=device) * (options.rotation / 2)
    turn = turn.clamp(-2 * options.rotation, 2 * options.rotation) * (torch.pi / 180)
    scale, aspect = 1 + options.scale * uniform[:, 0], 1 + options.aspect * uniform[:, 1]
    lean = options.shear * uniform[:, 2]
    cos, sin = torch.cos(turn), torch.sin(turn)
    across, down = 1 / (scale * aspect), aspect / scale
    moved = options.shift * 2 / 28 * uniform[:, 3:]
    rows = [cos * across, (lean * cos - sin) * down, moved[:, 0]]
    rows += [sin * across, (lean * sin + cos) * down, moved[:, 1]]
    return torch.stack(rows, dim=1).view(count, 2, 3)


def _thicker(pictures: Tensor, generator: Generator) -> Tensor:
    """Strokes up to two pixels wider: a mixture with the dilated picture."""
    share = _chances(len(pictures), generator).view(-1, 1, 1, 1)
    return torch.lerp(pictures, F.max_pool2d(pictures, 3, 1, 1), share)


def _thinner(pictures: Tensor, generator: Generator) -> Tensor:
    """Strokes finer: a mixture with the eroded picture."""
    share = 0.7 * _chances(len(pictures), generator).view(-1, 1, 1, 1)
    return torch.lerp(pictures, -F.max_pool2d(-pictures, (2, 2), 1, 1)[:, :, 1:, 1:], share)


def _coarse(pictures: Tensor, generator: Generator) -> Tensor:
    """As scanned at 12 to 20 pixels and enlarged."""
    side = int(torch.randint(12, 21, (1,), generator=generator, device=generator.device))
    small = F.interpolate(pictures, (side, side), mode="area")
    return F.interpolate(small, pictures.shape[2:], mode="bilinear", align_corners=False)


def _blurred(pictures: Tensor, generator: Generator) -> Tensor:
    """Out of focus, with full ink kept full."""
    kernel = torch.tensor([1.0, 2.0, 1.0], device=pictures.device)
    kernel = (kernel[:, None] * kernel / 16).view(1, 1, 3, 3)
    blurred = F.conv2d(pictures, kernel, padding=1)
    share = _chances(len(pictures), generator).view(-1, 1, 1, 1)
    return torch.lerp(pictures, (blurred * 1.2).clamp(max=1), share)


def _ruled(pictures: Tensor, generator: Generator) -> Tensor:
    """A remnant of a box's line along one side, whole or in part."""
    count, _one, height, width = pictures.shape
    device = pictures.device
    place = torch.randint(0, 4, (count, 1, 1), generator=generator, device=device)
    begin = torch.rand(count, 1, 1, generator=generator, device=device) * width
    length = 4 + torch.rand(count, 1, 1, generator=generator, device=device) * width
    ink = 0.4 + 0.6 * torch.rand(count, 1, 1, generator=generator, device=device)
    along = torch.arange(width, device=device).view(1, 1, -1)
    across = torch.arange(height, device=device).view(1, -1, 1)
    line = (across == place) & (along >= begin) & (along < begin + length)
    quarter = torch.randint(0, 4, (count,), generator=generator, device=device)
    lines = (line * ink).unsqueeze(1)
    turned = torch.stack([torch.rot90(lines, k, (2, 3)) for k in range(4)])
    return torch.maximum(pictures, turned[quarter, torch.arange(count, device=device)])


def _beside(pictures: Tensor, generator: Generator) -> Tensor:
    """The edge of a neighbour, from the same batch, at the left or right border."""
    order = torch.randperm(len(pictures), generator=generator, device=generator.device)
    reach = int(torch.randint(19, 23, (1,), generator=generator, device=generator.device))
    left = torch.zeros_like(pictures)
    right = torch.zeros_like(pictures)
    left[..., :-reach] = pictures[order][..., reach:]
    right[..., reach:] = pictures[order][..., :-reach]
    side = (_chances(len(pictures), generator) < 0.5).view(-1, 1, 1, 1)
    return torch.maximum(pictures, torch.where(side, left, right))


def _contrast(pictures: Tensor, generator: Generator) -> Tensor:
    """Softer or harder edges, and ink that is not quite full."""
    power = torch.exp(torch.randn(len(pictures), generator=generator, device=generator.device) / 2)
    full = 1 - 0.3 * _chances(len(pictures), generator)
    return pictures ** power.view(-1, 1, 1, 1) * full.view(-1, 1, 1, 1)


def _noisy(pictures: Tensor, generator: Generator) -> Tensor:
    """Grain in the ink and on the paper."""
    noise = torch.randn(pictures.shape, generator=generator, device=generator.device)
    return pictures + 0.08 * noise
