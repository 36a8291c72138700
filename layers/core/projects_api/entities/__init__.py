"""The entities, their ids, time, and domain errors: the vocabulary of all other packages."""
