"""The promises, one checker a module; ``registry`` lists them, ``panel`` runs them."""
