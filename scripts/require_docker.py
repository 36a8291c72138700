"""Check that Docker runs, or an engine with the same interface that DOCKER_HOST names. Otherwise print a sentence."""

import sys

import docker  # type: ignore[import-untyped]  # docker has no types
from docker.errors import DockerException  # type: ignore[import-untyped]  # docker has no types


def main() -> int:
    """Return 0 if Docker responds, otherwise 1."""
    try:
        docker.from_env(timeout=10).ping()
    except (DockerException, OSError):
        print(
            "Docker is not running: start it, or set DOCKER_HOST to an engine with the same interface, such as Podman.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
