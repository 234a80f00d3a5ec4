"""How fast the simulator is, measured by ``haq sim bench``."""
