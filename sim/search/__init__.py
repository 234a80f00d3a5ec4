"""Many seeds: looked through by worker processes, summed up, and held against planted bugs."""
