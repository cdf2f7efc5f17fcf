"""Run the command ``xdvarnet`` as ``python -m xdvarnet``."""

import sys

from xdvarnet.cli import main

sys.exit(main())
