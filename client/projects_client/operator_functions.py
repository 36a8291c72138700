"""The functions that only IAM may invoke, found by the name of their stack."""

import json
from typing import Any

from projects_client.errors import (
    CommandError,
    InvalidInputError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
)

REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
UNKNOWN_CALLER = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}


def invoke(stack: str, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """What a function answers.

    Args:
        stack: The CloudFormation stack that it is in.
        function: Its name in the template.

    Raises:
        CommandError: AWS or the function refuses; the text says why.
    """
    try:
        import boto3  # noqa: PLC0415 - only operators need it
        from botocore.config import Config  # noqa: PLC0415 - as above
        from botocore.exceptions import (  # noqa: PLC0415 - as above
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
            ProfileNotFound,
        )
    except ImportError:
        raise CommandError(
            "Operators' commands need boto3: pip install boto3, or in the repository: pip install './cli[operators]'."
        ) from None
    try:
        session = _in_a_region(boto3.Session())
        described = session.client(
            "cloudformation", config=Config(retries={"mode": "standard"})
        ).describe_stack_resource(StackName=stack, LogicalResourceId=function)["StackResourceDetail"]
        # not repeated: a key whose answer was lost would be one that nobody knows of
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})
        answer = session.client("lambda", config=once).invoke(
            FunctionName=described["PhysicalResourceId"], Payload=json.dumps(event).encode()
        )
        content: dict[str, Any] = json.loads(answer["Payload"].read())
    except ClientError as error:
        raise _refused(error.response["Error"], stack, function) from None
    except NoCredentialsError:
        raise NotAuthenticatedError("AWS does not know who you are: sign in, or set AWS_PROFILE.") from None
    except (PartialCredentialsError, ProfileNotFound) as error:
        raise NotAuthenticatedError(f"{error}. Sign in, or set AWS_PROFILE.") from None
    except ValueError as error:  # of an endpoint
        raise InvalidInputError(f"{error}. Is AWS_ENDPOINT_URL right?") from None
    except BotoCoreError as error:
        raise UnavailableError(f"AWS does not answer: {error}") from None
    if "FunctionError" in answer:
        raise _failed(content)
    return content


def _in_a_region(session: Any) -> Any:
    if not session.region_name:  # an empty one would be missed by nobody before the request is signed
        raise InvalidInputError("Say in which region the stack is: set AWS_DEFAULT_REGION.")
    return session


def _refused(error: Any, stack: str, function: str) -> CommandError:
    code, message = error.get("Code", ""), error.get("Message", "")
    if code in REFUSED:
        return NotAllowedError(f"IAM does not let you do this. {message}")
    if code in UNKNOWN_CALLER:
        return NotAuthenticatedError(f"AWS does not take your credentials. {message}")
    if code in {"ValidationError", "ResourceNotFoundException"}:
        return NotFoundError(f"There is no function {function} in a stack named '{stack}': give --stack. {message}")
    return UnavailableError(f"AWS answered {code}. {message}")


def _failed(content: dict[str, Any]) -> CommandError:
    """What the function raised, by the name of its error, which tells what kind it is."""
    kind, message = content.get("errorType", ""), content.get("errorMessage", "")
    if kind.endswith("NotFoundError"):
        return NotFoundError(message)
    if kind == "InvalidInputError":
        return InvalidInputError(message)
    if kind == "StorageUnavailableError" or kind.startswith(("Sandbox.", "Runtime.")):  # the latter are Lambda's own
        return UnavailableError(message)
    return CommandError(f"The function failed: {message}")
