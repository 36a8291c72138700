"""Work that Python does while a function starts, although the function does not need it.

On Lambda, importing this package postpones it: each start of a function is a cold start.
"""

import gc
import importlib
import sys
from types import ModuleType
from typing import Any

#: The number of new objects after which Python collects garbage for the first time. A function creates up to 100,000
#: while it starts, and keeps nearly all of them.
FIRST_COLLECTION = 200_000


def postpone_garbage_collection() -> None:
    """Collect garbage for the first time after the start, and from then on as usual.

    Python would look for garbage 40 times among the objects that a function creates while it starts.
    """
    thresholds = gc.get_threshold()

    def restore(_phase: str, _info: dict[str, int]) -> None:
        gc.callbacks.remove(restore)
        gc.set_threshold(*thresholds)

    gc.callbacks.append(restore)
    gc.set_threshold(FIRST_COLLECTION, *thresholds[1:])


def postpone_import(name: str) -> None:
    """Import a module when an attribute of it is first needed, unless it is imported already.

    The standard library's ``LazyLoader`` would import the module at the second ``import`` statement.
    """
    if name in sys.modules:
        return

    def load(attribute: str) -> Any:
        if sys.modules.get(name) is placeholder:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    placeholder = ModuleType(name)
    placeholder.__getattr__ = load  # type: ignore[method-assign]  # PEP 562
    sys.modules[name] = placeholder
