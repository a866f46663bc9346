"""DeepEvent: a live monitor and training server. The client lives here; see docs/architecture.md."""
