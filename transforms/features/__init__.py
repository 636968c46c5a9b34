"""Feature sets for models: one slice per night, made only from what was known by then."""
