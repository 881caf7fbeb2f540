"""The checks, a module per family; each module found here belongs to the suite."""
