#!/usr/bin/env python3
"""Print the lowest supported version of each run-time dependency, as a pip constraints file.

The versions are the lower bounds in setup.cfg, of the package and of the extras plot, tracks,
regrid, verification and scale. Run it from the root of the repository.
"""

import configparser

config = configparser.ConfigParser()
config.read("setup.cfg")
extras = config["options.extras_require"]
requirements = config["options"]["install_requires"]
for extra in ("plot", "tracks", "regrid", "verification", "scale"):
    requirements += extras[extra]
for line in requirements.split():
    name, _, version = line.partition(">=")
    if not version:
        raise SystemExit(f"setup.cfg gives no lower bound to {line!r}: write it as name>=version")
    print(f"{name}=={version}")
