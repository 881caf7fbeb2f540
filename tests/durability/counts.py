"""How much is tried: little in `make test`, much in `make test-durability`; and by which chance."""

from __future__ import annotations

import os
import random
from typing import Final

# Printed by each test that uses it: set it to what a failure printed, and the same is done again.
SEED: Final = int(os.environ.get("HANSARD_DURABILITY_SEED", random.SystemRandom().randrange(2**32)))

# How often each kind of trouble befalls a server.
ROUNDS: Final = int(os.environ.get("HANSARD_DURABILITY_ROUNDS", "1"))

# At how many moments the power is cut.
CUTS: Final = int(os.environ.get("HANSARD_DURABILITY_CUTS", "40"))

# How many lives of a store are compared with those of one in plain dicts, on each database.
EXAMPLES: Final = int(os.environ.get("HANSARD_DURABILITY_EXAMPLES", "10"))
