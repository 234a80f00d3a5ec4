"""``python -m examples.departments``: the same as ``main.py``."""

from examples.departments.main import main

if __name__ == "__main__":
    main()
