"""The worked example: run it with `make demo`, or with your own events: `main.py --file events.jsonl`."""

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Run the story, print the table; exit code 0 only if everything was right."""
    root = str(Path(__file__).resolve().parents[2])
    if (
        root not in sys.path
    ):  # run as a file: the examples are a package of the repository, not an installed one
        sys.path.insert(0, root)
    from examples.departments.events import DEPARTMENTS
    from examples.departments.story import run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--file",
        type=Path,
        help=f"events, a JSON object a line, of the departments {' and '.join(DEPARTMENTS)}",
    )
    parser.add_argument("--events", type=int, default=24_000, help="how many to generate without --file")
    parser.add_argument("--rate", type=float, default=4_000, help="events a second")
    arguments = parser.parse_args()
    sys.exit(run(arguments.file, arguments.events, arguments.rate))


if __name__ == "__main__":
    main()
