"""DeepEvent behind other libraries' interfaces: a change of one import line, one module per library."""
