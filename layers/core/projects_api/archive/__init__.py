"""The archive: its format and its plan, which are pure and know no AWS, and what it holds."""
