"""`python -m toolkit` is `modkit`."""

from toolkit.cli import main

if __name__ == "__main__":
    main()
