"""Requests and answers, field by field: what is validated, and what the OpenAPI document shows.

A file for each matter: a model costs a starting function about a millisecond, and each builds its own alone.
"""
