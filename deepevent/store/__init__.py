"""The event store: the only code that talks to a database. See docs/store.md."""
