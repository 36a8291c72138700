"""The built template, deployed by `sam deploy` to an emulator of AWS: `make test-deployment`."""

from collections.abc import Iterator

import pytest

from tests.support.aws_emulator import REFUSED, Deployed, Emulator, complete, emulator


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(aws: Emulator) -> Deployed:
    """The stack, without what the emulator refuses."""
    done = aws.deploy(*REFUSED)
    assert done.returncode == 0, done.stdout + done.stderr
    stack = Deployed(aws)
    complete(stack)
    return stack
