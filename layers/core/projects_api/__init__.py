"""The Projects API: projects, members, timelines and exports.

Imports point in one direction: ``api`` and ``schemas`` → ``domain`` → ``storage`` → ``entities``. ``archive`` plans and
writes ZIP archives without AWS.
"""

import os

from projects_api import cold_start

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    cold_start.postpone_garbage_collection()
    cold_start.postpone_import("asyncio")  # Powertools imports it for its asynchronous resolvers
