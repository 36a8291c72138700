"""Schemas of requests and responses, for validation and for the OpenAPI document.

Each route imports only the modules that it needs, because a model adds about a millisecond to the cold start.
"""
