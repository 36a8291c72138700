"""Invocation of the functions for operators, which authorize their caller by IAM instead of an API key."""

import json
import os
import re
from typing import Any

from projects_client.errors import (
    ForbiddenError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    ProjectsClientError,
    UnavailableError,
)

#: Name of a region, as botocore accepts it.
REGION = re.compile(r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)")

#: Variables that name a bundle of CA certificates, in the order in which botocore reads them.
CA_BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")

ACCESS_DENIED_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
INVALID_CREDENTIALS_CODES = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}


def invoke_function(stack: str, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """Invoke a function of a stack and return its result.

    Args:
        stack: Name of the CloudFormation stack.
        function: Logical id of the function in the template.
        event: Event to pass to the function.

    Raises:
        ProjectsClientError: The call failed in AWS or in the function; the text says why.
    """
    try:
        import boto3  # noqa: PLC0415 - only operators install boto3
        from botocore.config import Config  # noqa: PLC0415 - as above
        from botocore.exceptions import (  # noqa: PLC0415 - as above
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
            ProfileNotFound,
        )
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - as above
    except ImportError:
        raise ProjectsClientError(
            "Operator commands need boto3. Run: pip install boto3, or in the repository: "
            "pip install './client[cli,operators]'."
        ) from None
    try:
        session = _require_region(boto3.Session())
        resource = session.client(
            "cloudformation", config=Config(retries={"mode": "standard"})
        ).describe_stack_resource(StackName=stack, LogicalResourceId=function)["StackResourceDetail"]
        # no retries: a new API key whose response is lost would exist without anybody knowing it
        no_retries = Config(retries={"mode": "standard", "total_max_attempts": 1})
        response = session.client("lambda", config=no_retries).invoke(
            FunctionName=resource["PhysicalResourceId"], Payload=json.dumps(event).encode()
        )
        result: dict[str, Any] = json.loads(response["Payload"].read())
    except ClientError as error:
        raise _translate_aws_error(error.response["Error"], stack, function) from None
    except NoCredentialsError:
        raise NotAuthenticatedError("There are no AWS credentials. Sign in, or set AWS_PROFILE.") from None
    except (PartialCredentialsError, ProfileNotFound) as error:
        raise NotAuthenticatedError(f"{error}. Sign in, or set AWS_PROFILE.") from None
    except ValueError as error:  # invalid endpoint
        raise InvalidInputError(f"{error}. Check AWS_ENDPOINT_URL.") from None
    except ResponseParserError:
        raise UnavailableError("AWS, or a proxy, returned a response that is not one of AWS. Try again.") from None
    except BotoCoreError as error:
        raise UnavailableError(f"AWS does not respond: {error}.{_blame_bundle(error)}") from None
    if "FunctionError" in response:
        raise _translate_function_error(result)
    return result


def _require_region(session: Any) -> Any:
    if not session.region_name:  # botocore accepts an empty region until it signs a request
        raise InvalidInputError("The region of the stack is not set. Set AWS_DEFAULT_REGION.")
    if not REGION.fullmatch(session.region_name):
        raise InvalidInputError(f"'{session.region_name}' is not the name of a region. Check AWS_DEFAULT_REGION.")
    return session


def _blame_bundle(error: Exception) -> str:
    """Return a sentence about the bundle of certificates if one is set and TLS failed, or nothing."""
    variable = next((name for name in CA_BUNDLE_VARIABLES if os.environ.get(name)), None)
    if variable is None or type(error).__name__ != "SSLError":
        return ""
    return f" Check the CA bundle {os.environ[variable]}, which {variable} sets, or unset it."


def _translate_aws_error(error: Any, stack: str, function: str) -> ProjectsClientError:
    code, message = error.get("Code", ""), error.get("Message", "")
    if code in ACCESS_DENIED_CODES:
        return ForbiddenError(f"IAM does not allow this. {message}")
    if code in INVALID_CREDENTIALS_CODES:
        return NotAuthenticatedError(f"AWS rejects your credentials. {message}")
    if code in {"ValidationError", "ResourceNotFoundException"}:
        return NotFoundError(f"There is no function {function} in a stack named '{stack}'. Set --stack. {message}")
    return UnavailableError(f"AWS returned the error {code}. {message}")


def _translate_function_error(payload: dict[str, Any]) -> ProjectsClientError:
    """Return the error for an exception of the function, chosen by the name of the exception's class."""
    kind, message = payload.get("errorType", ""), payload.get("errorMessage", "")
    if kind.endswith("NotFoundError"):
        return NotFoundError(message)
    if kind == "InvalidInputError":
        return InvalidInputError(message)
    if kind == "StorageUnavailableError" or kind.startswith(("Sandbox.", "Runtime.")):  # the latter are Lambda's own
        return UnavailableError(message)
    return ProjectsClientError(f"The function failed: {message}")
