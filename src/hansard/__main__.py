"""``python -m hansard`` is ``hansard``."""

from hansard.cli import main

if __name__ == "__main__":
    main()
