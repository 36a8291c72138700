"""Client of the benchmark: upload the missing parts of a file in parallel, and count the bytes that are sent.

Arguments: the URL of the API, the API key, the id of the upload, the file, the size of a part, and the log.
"""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import requests

#: Parts that are sent in parallel.
CONNECTIONS = 4

#: Size of a read from the file, in bytes.
CHUNK = 1 << 20


class PartReader:
    """A part of a file that logs each chunk before the chunk is sent."""

    def __init__(self, file: BinaryIO, start: int, size: int, log: int) -> None:
        self._file, self._left, self._log = file, size, log
        self._file.seek(start)
        self.len = size  # requests sends it as the Content-Length

    def read(self, _: int = -1) -> bytes:
        """Return the next chunk, whatever size is wanted."""
        chunk = self._file.read(min(CHUNK, self._left))
        self._left -= len(chunk)
        if chunk:
            os.write(self._log, f"{len(chunk)}\n".encode())  # one write, so it survives SIGKILL
        return chunk


def main() -> None:
    """Upload the missing parts, and complete the upload."""
    base_url, key, upload_id, path, part_size, log_path = sys.argv[1:]
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {key}"
    url, size, log = f"{base_url}/api/uploads/{upload_id}", Path(path).stat().st_size, os.open(log_path, os.O_WRONLY)
    os.lseek(log, 0, os.SEEK_END)
    lock = threading.local()

    def send(part: dict[str, object]) -> None:
        session = lock.__dict__.setdefault("session", requests.Session())
        number = int(str(part["number"]))
        start = (number - 1) * int(part_size)
        with Path(path).open("rb") as file:
            reader = PartReader(file, start, min(int(part_size), size - start), log)
            session.put(str(part["url"]), data=reader, timeout=300).raise_for_status()

    after: int | None = 0
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while after is not None:
            page = api.post(f"{url}/parts", json={"after": after}, timeout=60).json()
            list(pool.map(send, [part for part in page["parts"] if part["url"]]))
            after = page["next_after"]
    while (response := api.post(f"{url}/complete", timeout=60)).status_code == requests.codes.accepted:
        time.sleep(int(response.headers["Retry-After"]))
    response.raise_for_status()


if __name__ == "__main__":
    main()
