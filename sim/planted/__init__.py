"""The planted bugs: what the simulators must find to be worth anything."""
