"""What is done with files of any kind."""

import hashlib


def sha256(path, on_bytes=lambda count: None):
    """SHA-256 of a file, as hexadecimal digits; `on_bytes` is told how many more bytes were read."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()
