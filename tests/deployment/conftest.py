"""The built template, deployed by `sam deploy` to an emulator of AWS. `make test-deployment` runs these tests."""

from collections.abc import Iterator

import pytest

from tests.support.aws_emulator import UNSUPPORTED, DeployedStack, Emulator, complete_deployment, start_emulator


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with start_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(aws: Emulator) -> DeployedStack:
    """Deploy the stack, without the resources that the emulator does not support."""
    result = aws.deploy(*UNSUPPORTED)
    assert result.returncode == 0, result.stdout + result.stderr
    stack = DeployedStack(aws)
    complete_deployment(stack)
    return stack
