"""Programs that run in the peers' own venv: the Python clients that people use, and the nodes of PySyncObj.

One rule: nothing of haqactor is imported here, and nothing but this package and what that venv holds.
"""
