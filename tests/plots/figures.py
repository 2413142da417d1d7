"""Data for figures, and what a reader sees in one."""

import numpy as np
import pandas as pd

import toolkit as tk


def run(make):
    results = make.results(*({"Gambling": score} for score in (5, 6.5, 50, 51, 90, 100)), {}, {}, min_confidence=5)
    return results, make.truth("Gambling", [0, 0, 1, 0, 1, 1, 0])


def million() -> tk.Results:
    """A run of a million images that all have one label, each at its own confidence, drawn without a file."""
    count = 1_000_000
    images = pd.DataFrame({"image": np.arange(count), "source_ref": pd.Series(range(count)).map("s3://b/{}".format)})
    images = images.assign(model_version="7.0")
    labels = pd.DataFrame({"image": images["image"], "name": pd.Categorical(["Gambling"] * count), "parent": ""})
    labels = labels.assign(level=1, confidence=np.linspace(20, 100, count, dtype=np.float32))
    return tk.Results(images, labels, pd.DataFrame(), 20.0, "caller", True)


def weight(figure) -> int:
    """Bytes of a figure as it goes to the browser."""
    return len(figure.to_json())


def said(figure) -> str:
    """All that is written in and above a figure."""
    title = figure.layout.title
    return " ".join([title.text, title.subtitle.text, *(str(note.text) for note in figure.layout.annotations)])


def lines(figure) -> dict:
    return {trace.name: trace for trace in figure.data if trace.name}


def curve_of(scores, present, *, floor: float = 0.0, label: str = "Gambling") -> tk.ThresholdCurve:
    return tk.curve_of_scores(label, scores, present, min_confidence=floor)


def noisy(count: int, seed: int = 0) -> tk.ThresholdCurve:
    """A curve with many thresholds, half of the images below a floor of 50."""
    draw = np.random.default_rng(seed)
    scores = draw.uniform(0, 100, count)
    present = draw.uniform(0, 100, count) < scores
    return curve_of(np.where(scores < 50, np.nan, scores), present, floor=50)


def step_area(x, y) -> float:
    """Area under a line that goes up or down first, then to the right."""
    return float(np.sum(np.diff(x) * np.asarray(y)[1:]))


def bins(*images: int) -> pd.DataFrame:
    present = np.linspace(0.1, 0.9, len(images))
    low = np.arange(len(images)) * 100 / len(images)
    return pd.DataFrame({"low": low, "high": low + 100 / len(images), "images": images}).assign(
        mean_confidence=low + 5, present=present, present_low=present - 0.1, present_high=present + 0.05
    )


def overview(*rows: tuple[str, str, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["label", "parent", "images"])
    return table.assign(level=1, share=table["images"] / 100, median_confidence=80.0)
