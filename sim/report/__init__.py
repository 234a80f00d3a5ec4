"""What a person sees when a run fails: a short text, and a page with the whole story."""
