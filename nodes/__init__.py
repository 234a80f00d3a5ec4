"""The trio shells of a member node: actors under supervision around the pure cores."""
