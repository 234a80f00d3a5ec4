"""The production twins of the environment: the only code that touches the operating system."""
