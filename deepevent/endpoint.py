"""Which server to talk to: the one that was named, else the one whose `server.json` lies in the home.

The local server may start long after the script, and again at another port, so the file is looked at again
whenever it changes.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH116, PTH118, PTH123

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl

SERVER_FILE = "server.json"


class Endpoint:
    """Finds the server.

    Args:
        home: where `server.json` may lie.
        url: the server that was named, or "".
        token: its token, or "".
    """

    def __init__(self, home: str, url: str = "", token: str = "") -> None:
        self.path = os.path.join(home, SERVER_FILE)
        self._fixed = bool(url)
        self._given_token = token
        self.url = url.rstrip("/")
        self.token = token
        self.certificate = ""
        self._stamp: tuple[int, int, int] | None = None

    def refresh(self) -> bool:
        """Look again.

        Returns:
            True if the server is another one than at the last look.
        """
        if self._fixed:
            return False
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._stamp:
                return False
            import json

            with open(self.path, encoding="utf-8") as file:
                content = json.load(file)
            self.url = str(content["url"]).rstrip("/")
            self.token = self._given_token or str(content.get("token", ""))
            self.certificate = str(content.get("certificate", ""))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            changed = bool(self.url)
            self.url, self._stamp = "", None
            return changed
        self._stamp = stamp
        return True

    def trust(self) -> ssl.SSLContext | None:
        """How to check the server's certificate; None: as every program does.

        The server of this home is known by the very certificate that it was started with, whoever signed it
        and for whatever name.
        """
        if not self.certificate:
            return None
        import ssl

        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
