"""Keys of one session: who has them may talk to its scheduler, which runs what it is told."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from distributed import Security

from uemdask.execution.cluster.profile import TlsFiles


def session_keys(place: Path) -> Security:
    """Make a certificate for a session, in files that only the user can read.

    Where the driver is killed they stay, and open nothing any more.
    """
    made = Security.temporary()
    written = {}
    for kind in ("ca_file", "client_cert", "client_key"):
        path = place / f"{kind}.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(getattr(made, f"tls_{kind}"))
        written[kind] = str(path)
    files = TlsFiles.model_validate(
        {
            "ca": written["ca_file"],
            "certificate": written["client_cert"],
            "key": written["client_key"],
        }
    )
    return security_from(files)


def security_from(files: TlsFiles) -> Security:
    """Return what Dask needs to know of certificate files, the same for all roles."""
    roles = {}
    for role in ("scheduler", "worker", "client"):
        roles[f"tls_{role}_cert"] = str(files.certificate)
        roles[f"tls_{role}_key"] = str(files.key)
    return Security(require_encryption=True, tls_ca_file=str(files.ca), **roles)


def quoted(security: Security) -> Security:
    """Return the same for a line of shell, where a path may hold blanks."""
    files = {"tls_ca_file": shlex.quote(security.tls_ca_file)}
    for name in ("tls_worker_cert", "tls_worker_key"):
        files[name] = shlex.quote(getattr(security, name))
    return Security(require_encryption=True, **files)
