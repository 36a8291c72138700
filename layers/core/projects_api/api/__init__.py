"""HTTP: the resolver, its parameters and request bodies, and responses to errors."""
