"""``python -m haqactor`` is ``haq``."""

from haqactor.cli import main

if __name__ == "__main__":
    main()
