"""A failure that was seen: written down, run again, made small, compared."""
