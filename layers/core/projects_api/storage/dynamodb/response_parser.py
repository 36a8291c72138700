"""A faster parser for DynamoDB responses."""

from typing import Any

from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory


class _RawItemParser(JSONParser):
    """Return items exactly as DynamoDB sends them.

    botocore's own parser walks through each item value by value and rebuilds the same structure. Only binary values
    need that, and the table has none.
    """

    def _handle_map(self, shape: Any, value: Any) -> Any:
        return value if shape.value.name == "AttributeValue" else super()._handle_map(shape, value)  # type: ignore[misc]  # untyped


class RawItemParserFactory(ResponseParserFactory):
    """Create the raw item parser for JSON protocols, and botocore's own parser for all others."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        """Return a parser for responses in ``protocol_name``."""
        return _RawItemParser() if protocol_name == "json" else super().create_parser(protocol_name)
