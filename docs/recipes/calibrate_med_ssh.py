"""Give the shipped model `med-ssh` its ensemble: what its error is on the validation days.

Usage: python docs/recipes/calibrate_med_ssh.py MODEL FILE

The maps of 10 May to 9 June 2005 are observed six times, as in the training, and the errors of the
last nine days count, which the training has not seen. The weights of MODEL stay as they are; the
model with its calibration is written to FILE, which may be the same. A model that is calibrated
already is calibrated anew.
"""

import logging
import sys

from train_med_ssh import MISSIONS, NOISE

import xdvarnet

DRAWS = 6


def main() -> None:
    """Calibrate and save."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    source, target = sys.argv[1:]
    calibrated = xdvarnet.calibrate(
        xdvarnet.load_model(source),
        xdvarnet.datasets.mediterranean().sel(time=slice("2005-05-10", "2005-06-09")),
        observe=xdvarnet.ObservingSystem(MISSIONS, noise=NOISE),
        period=slice("2005-06-01", "2005-06-09"),
        draws=DRAWS,
        rng=0,
    )
    calibrated.provenance["calibration recipe"] = "docs/recipes/calibrate_med_ssh.py"
    xdvarnet.save_model(calibrated, target)


if __name__ == "__main__":
    main()
