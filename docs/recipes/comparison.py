"""What the results pages have in common: the methods to compare with, and their tables."""

import numpy as np
import pandas as pd

import xdvarnet
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.protocol import Reconstructor

# the best of docs/recipes/tune_med_oi.py with one standard deviation for the whole basin
ONE_STD = {"correlation_length": "68 km", "correlation_time": "13 days", "noise": 0.0135}

NETWORK, ONE, LOCAL = "4DVarNet `med-ssh`", "OI tuned, one std", "OI tuned, local std (first guess)"


def network_of(model: Reconstructor) -> xdvarnet.DVarNet:
    """Return the network of a model that is calibrated or not."""
    return model.model if isinstance(model, xdvarnet.Calibrated) else model


def tuned_methods(model: Reconstructor, background: Background) -> dict:
    """Return both tuned optimal interpolations and the network, all with the same background."""
    return {
        ONE: xdvarnet.OptimalInterpolation("ssh", **ONE_STD, background=background),
        LOCAL: network_of(model).first_guess.with_options(background=background),
        NETWORK: model.with_options(background=background),
    }


def change(squares: pd.DataFrame, samples: np.ndarray) -> pd.Series:
    """Describe how much smaller or larger the RMSE of the network is than that of each method.

    Parameters
    ----------
    squares : pandas.DataFrame
        Squared errors, a row for each day or point and a column for each method.
    samples : numpy.ndarray
        How often each bootstrap sample holds each row, shape (samples, rows).

    Returns
    -------
    pandas.Series
        Percent, with the interval that holds 95 % of the samples.
    """
    totals = pd.DataFrame(samples @ squares.to_numpy(), columns=squares.columns)

    def percent(totals: pd.DataFrame, other: str) -> pd.Series:
        return 100 * (np.sqrt(totals[NETWORK] / totals[other]) - 1)

    text = {}
    for other in squares.columns.drop(NETWORK):
        low, high = np.percentile(percent(totals, other), [2.5, 97.5])
        text[other] = f"{percent(squares.sum(), other):+.1f} % [{low:+.1f}, {high:+.1f}]"
    return pd.Series(text)


def markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """Return a Markdown table, the index first."""
    text = table.map(lambda value: f"{value:.{digits}f}" if isinstance(value, float) else value)
    rows = [["", *text.columns], ["---"] * (1 + len(text.columns))]
    rows += [[name, *row] for name, row in zip(text.index, text.values.tolist(), strict=True)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
