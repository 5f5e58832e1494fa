"""Pictures of a training and of a measurement. Called by `training.train` and `training.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from shared.prediction import Intent

matplotlib.use("Agg")
from matplotlib import pyplot  # after the drawing surface is chosen
from matplotlib.figure import Figure

SMOOTHED = 50  # steps of the running mean


def draw_curve(losses: Sequence[float], hits: Sequence[float], path: Path) -> None:
    """Write a PNG with the loss (left axis) and the share of training intents guessed right (right axis)."""
    figure, left = pyplot.subplots(figsize=(8, 4))
    right = left.twinx()
    for axis, values, colour, name in (
        (left, losses, "tab:blue", "loss (weighted, per token after the cue)"),
        (right, hits, "tab:green", "training intents right"),
    ):
        window = min(SMOOTHED, len(values))
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axis.plot(np.arange(len(smooth)) + window, smooth, color=colour)
        axis.set_ylabel(name, color=colour)
    left.set_xlabel("step")
    left.grid(alpha=0.3)
    _save(figure, path)


def draw_confusion(counts: np.ndarray, title: str, path: Path) -> None:
    """Write a PNG of the confusion matrix: wanted by row, said by column, shares of each row as shades."""
    names = [intent.value for intent in Intent]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = pyplot.subplots(figsize=(11, 10))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=colour)
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_xlabel("said")
    axis.set_ylabel("wanted")
    axis.set_title(title)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
