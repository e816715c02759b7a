"""What was right and wrong of values told with a confidence, and what may be accepted by it.

The table lies in a model's header. It says no more than what was counted: from which
confidence on a share of wrong values is kept, and how many values that stands on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Accepted", "Bar", "Bars", "RiskTable"]

_STEPS = 200  # rows of a table
_UNLIKE = 1e-3  # the probability of as few accepted values that is put down to chance no more
_SURE = 0.9  # how surely the wrong values are no more than what is promised


@dataclass(frozen=True, slots=True)
class Bar:
    """From which confidence on values are accepted; above 1 none is.

    usual: the share of values that reached it when that was measured, below 1, and 0 where it
        was not.
    """

    confidence: float
    usual: float = 0.0

    def is_unlike(self, accepted: int, values: int) -> bool:
        """Whether so few of some values are accepted that these are hardly like the measured
        ones, and what was measured tells little of them."""
        if not values or not self.usual:
            return False
        return _at_most(accepted, values, self.usual) < _UNLIKE


@dataclass(frozen=True, slots=True)
class Bars:
    """What values must reach. apart: those read digit by digit. whole: as a whole, too."""

    apart: Bar = Bar(0.9)
    whole: Bar = Bar(0.9)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is accepted for a risk.

    confidence: from here on. values, wrong: of the table, as sure as this. most: the share of
    wrong values that there may be, with nine in ten certainty.
    """

    confidence: float
    values: int
    wrong: int
    most: float


@dataclass(frozen=True, slots=True)
class RiskTable:
    """How often values were right, by how sure they were.

    rows: (confidence, values, wrong), from the surest on: how many values were told at least
    so surely, and how many of these were wrong.
    """

    rows: tuple[tuple[float, int, int], ...] = ()

    @classmethod
    def of(cls, confidences: Sequence[float], right: Sequence[bool]) -> RiskTable:
        """The table of values as they were told: each one's confidence and whether it was right."""
        order = sorted(range(len(right)), key=lambda at: -confidences[at])
        every = max(1, math.ceil(len(order) / _STEPS))
        rows, wrong, due = [], 0, every
        for count, at in enumerate(order, start=1):
            wrong += not right[at]
            last = count == len(order)
            if last or (count >= due and confidences[order[count]] < confidences[at]):
                rows.append((float(confidences[at]), count, wrong))
                due = count + every
        return cls(tuple(rows))

    @classmethod
    def from_header(cls, table: Mapping[str, Sequence[Sequence[float]]]) -> RiskTable:
        """The table of ``header``. Raises ValueError where it is none."""
        rows = tuple((float(c), int(n), int(wrong)) for c, n, wrong in table.get("rows", ()))
        if any(not 0 <= wrong <= n or n == 0 for _, n, wrong in rows):
            raise ValueError("more values are wrong than were told, or none was told")
        return cls(rows)

    @property
    def header(self) -> dict[str, list[list[float]]]:
        """As a model's header holds it."""
        return {"rows": [[round(c, 6), n, wrong] for c, n, wrong in self.rows]}

    def bar(self, accepted: Accepted) -> Bar:
        """The bar that accepts so much."""
        return Bar(accepted.confidence, accepted.values / (self.rows[-1][1] + 1))

    def accepted(self, risk: float) -> Accepted | None:
        """What may be accepted if a share ``risk`` of it may be wrong, None for nothing.

        As much as can be accepted while the values that stand behind it are enough to say so.
        """
        best = None
        for confidence, values, wrong in self.rows:
            most = _upper(wrong, values)
            if most <= risk:
                best = Accepted(confidence, values, wrong, most)
        return best


def _at_most(count: int, trials: int, share: float) -> float:
    """How probable it is that so few of some trials succeed, each with a share above 0, below 1.

    By hand: workers ask for it, and SciPy takes longer to load than a page to read.
    """
    logarithms = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(share) + (trials - k) * math.log1p(-share)
        for k in range(count + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logarithms))


def _upper(wrong: int, values: int) -> float:
    """The share of wrong values that is hardly exceeded (Clopper and Pearson 1934)."""
    if wrong == values:
        return 1.0
    from scipy.special import betaincinv  # takes as long to load as a page to read

    return float(betaincinv(wrong + 1, values - wrong, _SURE))
