"""How often is a promised rate missed, and what does the promise cost?

    python benchmarks/guarantee.py [--sets 2000]

Data sets are drawn from known distributions, so that the true precision and recall of any threshold are known. In each
setting the promise ("precision>=0.9 with probability 0.95") is made on every data set and checked against the truth.
`missed` must be at most 1 - level; `naive missed` is how often the best threshold on the sample breaks the same rate;
`none` is how often no threshold was offered; recall is the mean true recall, 0 where none was offered.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.curves import ThresholdCurve, curve_of_scores
from toolkit.tuning import choose_threshold

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A model and what it looks at: scores (percent) of images with and without the label, and how common it is."""

    name: str
    prevalence: float
    present: Floats
    absent: Floats

    def draw(self, n: int, random: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
        """Scores and truth of n images."""
        there = random.random(n) < self.prevalence
        return np.where(there, random.choice(self.present, n), random.choice(self.absent, n)), there

    def rates(self, threshold: float) -> dict[str, float]:
        """The true rates at a threshold, over the whole world."""
        threshold = float(np.float32(threshold))
        recall = float(np.mean(self.present.astype(np.float32) >= threshold))
        fpr = float(np.mean(self.absent.astype(np.float32) >= threshold))
        tp, fp = self.prevalence * recall, (1 - self.prevalence) * fpr
        return {"precision": tp / (tp + fp) if tp + fp else float("nan"), "recall": recall, "fpr": fpr}


def worlds() -> list[World]:
    """Good and poor models, rare and common labels, ties, and a model that ranks its surest images wrongly."""
    random = np.random.default_rng(0)

    def beta(a: float, b: float) -> Floats:
        return 100 * random.beta(a, b, 200_000)

    # Its surest scores are mostly mistakes: precision falls towards the top.
    misranked = np.where(random.random(200_000) < 0.03, random.uniform(97, 100, 200_000), beta(1, 5))
    return [
        World("good model, label on 20 %", 0.2, beta(6, 1.5), beta(1, 6)),
        World("good model, label on 2 %", 0.02, beta(6, 1.5), beta(1, 6)),
        World("fair model, label on 20 %", 0.2, beta(4, 2), beta(1.2, 4)),
        World("fair model, label on 50 %", 0.5, beta(4, 2), beta(1.2, 4)),
        World("poor model, label on 30 %", 0.3, beta(2.5, 2), beta(2, 2.5)),
        World("ties (whole tens), label on 20 %", 0.2, np.round(beta(6, 1.5), -1), np.round(beta(1, 6), -1)),
        World("misranked at the top, label on 20 %", 0.2, beta(6, 1.5), misranked),
    ]


def main() -> None:
    """Prints one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000, help="data sets in each setting")
    sets = parser.parse_args().sets
    print(f"{'world':36} {'objective':16} {'level':>5} {'n':>5} {'floor':>5} | {'missed':>6} {'allowed':>7} "
          f"{'none':>5} {'recall':>6} | {'naive missed':>12} {'recall':>6}")  # fmt: skip
    for world in worlds():
        for n in (100, 600, 5000):
            for objective, level, floor in (
                ("precision>=0.9", 0.95, 0.0), ("precision>=0.7", 0.9, 50.0), ("recall>=0.8", 0.95, 0.0),
            ):  # fmt: skip
                print(line(world, objective, level, n, floor, sets), flush=True)


def line(world: World, objective: str, level: float, n: int, floor: float, sets: int) -> str:
    """One setting, simulated."""
    random = np.random.default_rng(1)
    tallies = {True: [0, 0, 0.0], False: [0, 0, 0.0]}  # with the promise or without: missed, none, sum of recalls
    for _ in range(sets):
        curve = sample(world, n, floor, random)
        for promised, tally in tallies.items():
            missed, none, recall = outcome(world, curve, objective, level if promised else None)
            tally[0] += missed
            tally[1] += none
            tally[2] += recall
    (missed, none, recall), (naive, _, naive_recall) = tallies[True], tallies[False]
    return (
        f"{world.name:36} {objective:16} {level:5.2f} {n:5} {floor:5g} | {missed / sets:6.3f} {1 - level:7.2f} "
        f"{none / sets:5.2f} {recall / sets:6.3f} | {naive / sets:12.3f} {naive_recall / sets:6.3f}"
    )


def sample(world: World, n: int, floor: float, random: np.random.Generator) -> ThresholdCurve:
    """The curve of n labelled images, of which the run reported those at or above its floor."""
    scores, there = world.draw(n, random)
    return curve_of_scores("label", np.where(scores >= floor, scores, np.nan), there, min_confidence=floor)


def outcome(world: World, curve: ThresholdCurve, objective: str, level: float | None) -> tuple[int, int, float]:
    """Whether the rate is missed, whether there is no threshold, and the true recall of what was chosen."""
    choice = choose_threshold(curve, objective, confidence_level=level)
    if choice.threshold is None:
        return 0, 1, 0.0
    rate, _, limit = objective.partition(">=")
    truth = world.rates(choice.threshold)
    return int(truth[rate] < float(limit)), 0, truth["recall"]


if __name__ == "__main__":
    main()
