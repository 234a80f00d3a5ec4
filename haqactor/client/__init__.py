"""The client side: a sans-IO protocol core and the trio shell around it."""
