"""The nouns, their identifiers, time, and what can go wrong: what every other part speaks in."""
