"""``python -m geodl``: the command line."""

from geodl.cli import main

if __name__ == "__main__":
    main()
