"""Tables that models read: one slice a night, made only of what was known by then."""
