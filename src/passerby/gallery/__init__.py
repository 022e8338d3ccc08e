"""A gallery of known people: enrol, identify, observe, forget."""
