"""The HTTP API: one thin blueprint per noun. Each handler parses, calls the store, and serialises."""
